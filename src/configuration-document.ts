// Writes docs/CONFIGURATION.md from the settings themselves, so that it can't say anything else. Pure.
import { environmentName, SERVER_SETTINGS } from "./config.ts";
import { LIMIT_SETTINGS } from "./limit-settings.ts";
import type { Setting } from "./setting.ts";

const OPENING = `# Configuration

Generated from \`src/config.ts\`; a test fails when it is stale.

Every setting has a default. A JSON file (\`--config FILE\` or \`AEGIS_CONFIG\`) goes before the default, the
environment before the file, a flag before the environment. In the file the limits stand in an object of
their own: \`{ "port": 7400, "limits": { "inFlightMax": 2048 } }\`. A wrong value, an unknown flag or an
unknown name in the file stops the start with a message and exit code 2. An empty environment variable counts
as not set, and one that is no setting is not looked at. Secrets have no flags, because command lines can be
read by other users of the machine.
`;

export function configurationDocument(): string {
  return [
    OPENING,
    "## Server",
    "",
    ...table(SERVER_SETTINGS),
    "",
    "## Limits",
    "",
    "Over a limit the caller gets a retryable refusal or a close code (docs/PROTOCOL.md); nothing grows without one.",
    "",
    ...table(LIMIT_SETTINGS),
    "",
  ].join("\n");
}

function table(settings: Readonly<Record<string, Setting>>): string[] {
  const rows = Object.entries(settings).map(([name, setting]) => {
    const flag = setting.flag === undefined ? "" : `\`--${setting.flag}\``;
    const cells = [
      `\`${name}\``,
      `\`${environmentName(name)}\``,
      flag,
      setting.unit,
      setting.range,
      shown(setting),
      setting.doc,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| setting | environment | flag | unit | range | default | what for |",
    "|---|---|---|---|---|---|---|",
    ...rows,
  ];
}

function shown({ fallback }: Setting): string {
  if (fallback === undefined) return "none";
  if (typeof fallback === "object" && fallback !== null && "path" in fallback)
    return `\`lmdb:${String(fallback.path)}\``;
  return `\`${typeof fallback === "string" ? fallback : JSON.stringify(fallback)}\``;
}
