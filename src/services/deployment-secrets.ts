// Finds the deployment's secret and the operator's token, or on the embedded store makes them once and
// keeps them readable by their owner alone. Never prints either.
import { randomBytes, randomUUID } from "node:crypto";
import { chmod, link, mkdir, open, readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { formatToken, freshTokenSecret, parseToken } from "./access-token.ts";

export interface DeploymentSecrets {
  readonly secret: string;
  readonly operatorKey: string;
  /** What this start made, and where it is kept. */
  readonly made: readonly { readonly what: "secret" | "operator key"; readonly path: string }[];
}

/** The server can't start with the secrets it has; the message says what to set. */
export class SecretsRefused extends Error {
  override readonly name = "SecretsRefused";
}

export interface SecretSources {
  /** The folder of the embedded store; undefined on Redis. */
  readonly dataFolder: string | undefined;
  readonly secret: string | undefined;
  readonly operatorKey: string | undefined;
}

/** @throws SecretsRefused */
export async function findDeploymentSecrets(sources: SecretSources): Promise<DeploymentSecrets> {
  const { dataFolder } = sources;
  if (dataFolder === undefined) {
    return {
      secret: given(sources.secret, "AEGIS_SECRET"),
      operatorKey: given(sources.operatorKey, "AEGIS_OPERATOR_KEY"),
      made: [],
    };
  }
  await mkdir(dataFolder, { recursive: true, mode: 0o700 });
  const made: DeploymentSecrets["made"][number][] = [];
  const find = async (held: string | undefined, file: string, what: "secret" | "operator key", fresh: () => string) => {
    if (held !== undefined) return held;
    const kept = await readOrMake(join(dataFolder, file), fresh);
    if (kept.made) made.push({ what, path: join(dataFolder, file) });
    return kept.value;
  };
  const secret = await find(sources.secret, "secret", "secret", () => randomBytes(32).toString("hex"));
  const operatorKey = await find(sources.operatorKey, "operator-key", "operator key", () =>
    formatToken({ keyId: randomUUID(), secret: freshTokenSecret() }),
  );
  if (secret.length < 32) throw new SecretsRefused(`${join(dataFolder, "secret")} holds fewer than 32 characters`);
  if (parseToken(operatorKey) === undefined) {
    throw new SecretsRefused(`${join(dataFolder, "operator-key")} does not hold a token aegis_<keyId>_<secret>`);
  }
  return { secret, operatorKey, made };
}

function given(value: string | undefined, variable: string): string {
  if (value !== undefined) return value;
  throw new SecretsRefused(
    `${variable} is not set. On Redis every node must be given the same ${variable}, because none of them keeps a ` +
      `data folder. ${MAKE_ONE[variable] ?? ""}`,
  );
}

const MAKE_ONE: Readonly<Record<string, string>> = {
  AEGIS_SECRET: "Make one with: openssl rand -hex 32",
  AEGIS_OPERATOR_KEY: 'Make one with: echo "aegis_operator_$(openssl rand -hex 32)"',
};

async function readOrMake(path: string, fresh: () => string): Promise<{ value: string; made: boolean }> {
  const kept = await readKept(path);
  if (kept !== undefined) return { value: kept, made: false };
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(`${fresh()}\n`);
    // The umask may have narrowed the mode; nothing may have widened it.
    await file.chmod(0o600);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    // Unlike a rename, a link never replaces what another process made meanwhile.
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await unlink(draft);
  }
  await syncFolder(join(path, ".."));
  const value = await readKept(path);
  if (value === undefined) throw new SecretsRefused(`${path} vanished while it was made`);
  return { value, made: true };
}

async function readKept(path: string): Promise<string | undefined> {
  try {
    const held = (await readFile(path, "utf8")).trim();
    if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600);
    return held;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new SecretsRefused(`${path} can't be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
