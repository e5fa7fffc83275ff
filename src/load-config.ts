// Reads the settings: defaults < JSON file < environment < flags. Reads no file and prints nothing by
// itself; a wrong value is an answer that names the setting and where it came from, never its secret.
import { parseArgs } from "node:util";
import type { z } from "zod";
import { environmentName, SERVER_SETTINGS, type Config } from "./config.ts";
import { LIMIT_SETTINGS } from "./limit-settings.ts";
import type { Setting } from "./setting.ts";

export interface ConfigSources {
  /** The command line after the command's own name. */
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Reads the file named by `--config` or `AEGIS_CONFIG`; throws when it can't. */
  readFile(path: string): string;
}

export type LoadedConfig =
  | { readonly kind: "config"; readonly config: Config }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "invalid"; readonly message: string };

interface Found {
  readonly value: unknown;
  readonly origin: string;
}

class Invalid extends Error {}

const SERVER: Readonly<Record<string, Setting>> = SERVER_SETTINGS;
const LIMITS: Readonly<Record<string, Setting>> = LIMIT_SETTINGS;

export function loadConfig(sources: ConfigSources): LoadedConfig {
  try {
    const flags = readFlags(sources.flags);
    if (flags["help"] === true) return { kind: "help", text: helpText() };
    const file = readConfigFile(flags["config"] ?? sources.environment["AEGIS_CONFIG"], sources);
    const find = (name: string, setting: Setting, inFile: Found | undefined): Found | undefined => {
      const flag = setting.flag === undefined ? undefined : flags[setting.flag];
      if (flag !== undefined) return { value: flag, origin: `--${setting.flag}` };
      const variable = environmentName(name);
      const held = sources.environment[variable];
      // An empty variable is how shells and compose files say "not set".
      if (held !== undefined && held !== "") return { value: held, origin: variable };
      return inFile;
    };
    const server = valuesOf(SERVER, (name, setting) => find(name, setting, file.server(name)));
    const limits = valuesOf(LIMITS, (name, setting) => find(name, setting, file.limits(name)));
    const config = { ...server, limits } as unknown as Config;
    checkTogether(config);
    return { kind: "config", config };
  } catch (error) {
    if (error instanceof Invalid) return { kind: "invalid", message: error.message };
    throw error;
  }
}

function valuesOf(
  settings: Readonly<Record<string, Setting>>,
  find: (name: string, setting: Setting) => Found | undefined,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const found = find(name, setting);
    const value = found === undefined ? setting.fallback : parse(setting, found);
    if (value !== undefined) values[name] = value;
  }
  return values;
}

function parse(setting: Setting, found: Found): unknown {
  const parsed: z.ZodSafeParseResult<unknown> = setting.schema.safeParse(found.value);
  if (parsed.success) return parsed.data;
  const shown = setting.sensitive === true ? "" : ` (it is ${JSON.stringify(found.value)})`;
  throw new Invalid(`${found.origin} ${parsed.error.issues[0]?.message ?? "is wrong"}${shown}`);
}

function readFlags(flags: readonly string[]): Record<string, string | boolean | undefined> {
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = {
    config: { type: "string" },
    help: { type: "boolean", short: "h" },
  };
  for (const { flag } of Object.values(SERVER)) if (flag !== undefined) options[flag] = { type: "string" };
  try {
    const { values } = parseArgs({ args: [...flags], options, strict: true, allowPositionals: false });
    return values;
  } catch (error) {
    throw new Invalid(`${(error as Error).message.split(". ")[0]}. Try --help.`);
  }
}

interface ConfigFile {
  server(name: string): Found | undefined;
  limits(name: string): Found | undefined;
}

function readConfigFile(path: string | boolean | undefined, sources: ConfigSources): ConfigFile {
  if (typeof path !== "string" || path === "") return { server: () => undefined, limits: () => undefined };
  const whole = parseFile(path, sources);
  const { limits = {}, ...server } = whole;
  if (!isPlainObject(limits)) throw new Invalid(`${path}: "limits" must be an object`);
  refuseUnknown(path, server, SERVER, "");
  refuseUnknown(path, limits, LIMITS, "limits.");
  const finder =
    (part: Record<string, unknown>, prefix: string) =>
    (name: string): Found | undefined =>
      part[name] === undefined || part[name] === null
        ? undefined
        : { value: part[name], origin: `${path}: ${prefix}${name}` };
  return { server: finder(server, ""), limits: finder(limits, "limits.") };
}

function parseFile(path: string, sources: ConfigSources): Record<string, unknown> {
  let held: string;
  try {
    held = sources.readFile(path);
  } catch (error) {
    throw new Invalid(`${path} can't be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`);
  }
  let value: unknown;
  try {
    value = JSON.parse(held);
  } catch {
    // The parser's own text quotes the file, which may hold the secret.
    throw new Invalid(`${path} is not JSON`);
  }
  if (!isPlainObject(value)) throw new Invalid(`${path} must hold one JSON object`);
  return value;
}

function refuseUnknown(path: string, part: Record<string, unknown>, known: object, prefix: string): void {
  const stranger = Object.keys(part).find((name) => !Object.hasOwn(known, name));
  if (stranger !== undefined) throw new Invalid(`${path}: there is no setting "${prefix}${stranger}"`);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkTogether({ limits, tlsCertFile, tlsKeyFile, linkCaFile, linkServerName }: Config): void {
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) {
    throw new Invalid("tlsCertFile and tlsKeyFile are given both or not at all");
  }
  if (tlsCertFile === undefined && (linkCaFile ?? linkServerName) !== undefined) {
    throw new Invalid("linkCaFile and linkServerName need tlsCertFile and tlsKeyFile");
  }
  if (limits.ttlMsDefault > limits.ttlMsMax) throw new Invalid("ttlMsDefault must not be above ttlMsMax");
  if (limits.socketPauseBytes > limits.socketQueueBytesMax) {
    throw new Invalid("socketPauseBytes must not be above socketQueueBytesMax");
  }
  // A call or an answer that one node may take must fit between two.
  if (limits.peerMessageBytesMax < 2 * limits.messageBytesMax) {
    throw new Invalid("peerMessageBytesMax must be at least twice messageBytesMax");
  }
  // What is about to leave waits in the queue: a message that has no room there would cut its link.
  if (limits.peerQueueBytesMax < limits.peerMessageBytesMax) {
    throw new Invalid("peerQueueBytesMax must not be below peerMessageBytesMax");
  }
  // An owner that is cut off answers reads until it stops by itself: by then nobody else may have its shards (F04).
  if (limits.nodeHeartbeatMs >= limits.selfFenceMs || limits.selfFenceMs >= limits.expelMs) {
    throw new Invalid("nodeHeartbeatMs must be below selfFenceMs, and selfFenceMs below expelMs");
  }
}

function helpText(): string {
  const rows = Object.entries(SERVER)
    .filter(([, setting]) => setting.flag !== undefined)
    .map(([name, setting]) => `  ${`--${setting.flag}`.padEnd(14)} ${setting.doc} [${environmentName(name)}]`);
  return [
    "aegis serve [flags]",
    "",
    ...rows,
    `  ${"--config".padEnd(14)} A JSON file with any of the settings. [AEGIS_CONFIG]`,
    `  ${"--help".padEnd(14)} This text.`,
    "",
    "Defaults < file < environment < flags. All settings: docs/CONFIGURATION.md",
    "",
  ].join("\n");
}
