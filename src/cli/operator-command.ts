// The commands of `aegis` that speak to a running server's admin port: reads their words and the environment, prints
// the answer. The operator's key comes from the environment or the file of settings, never from the command line, which
// other users of the machine can read.
import { parseArgs } from "node:util";
import { loadConfig, type ConfigSources } from "../load-config.ts";
import { AdminPort, AdminRefused } from "./admin-port.ts";
import { drain } from "./drain.ts";
import { nodesTable, readNodes } from "./nodes.ts";
import { readShards, shardsTable } from "./shards.ts";

export type OperatorCommand = "nodes" | "shards" | "drain";

export const OPERATOR_USAGE = `  aegis nodes [--json]          who is in the cluster
  aegis shards [--json]         who owns each shard
  aegis drain NODE [--json]     has a node (id, its beginning, or address) hand everything over and end
      --wait SECONDS            how long to wait until it has gone (60; 0 does not wait)
      --admin URL               the admin port of any node (AEGIS_ADMIN_URL, else this machine's)
      AEGIS_OPERATOR_KEY        the operator's key, from the environment`;

export interface CommandResult {
  /** 0 done, 1 refused, 2 wrong words. */
  readonly code: 0 | 1 | 2;
  readonly output?: string;
  readonly message?: string;
}

interface Words {
  readonly json: boolean;
  readonly waitMs: number;
  readonly admin: AdminPort;
  readonly node: string | undefined;
}

class WrongWords extends Error {}

const WAIT_SECONDS = "60";

export async function runOperatorCommand(
  command: OperatorCommand,
  words: readonly string[],
  sources: Omit<ConfigSources, "flags">,
): Promise<CommandResult> {
  try {
    return await run(command, readWords(command, words, sources));
  } catch (error) {
    if (error instanceof WrongWords) return { code: 2, message: error.message };
    if (error instanceof AdminRefused) return { code: 1, message: error.message };
    throw error;
  }
}

async function run(command: OperatorCommand, { json, waitMs, admin, node = "" }: Words): Promise<CommandResult> {
  const asJson = (value: object): string => `${JSON.stringify(value, undefined, 2)}\n`;
  switch (command) {
    case "nodes": {
      const nodes = await readNodes(admin);
      return { code: 0, output: json ? asJson(nodes) : nodesTable(nodes) };
    }
    case "shards": {
      const shards = await readShards(admin);
      return { code: 0, output: json ? asJson(shards) : shardsTable(shards) };
    }
    case "drain": {
      const drained = await drain(admin, node, waitMs);
      const { nodeId, gone } = drained;
      const output = json ? asJson(drained) : `${nodeId} ${gone ? "has gone" : "drains"}\n`;
      if (gone || waitMs === 0) return { code: 0, output };
      return { code: 1, output, message: `it was asked to go and is still there after ${String(waitMs / 1000)} s` };
    }
  }
}

function readWords(command: OperatorCommand, words: readonly string[], sources: Omit<ConfigSources, "flags">): Words {
  const { values, positionals } = parse(command, words);
  if (positionals.length !== (command === "drain" ? 1 : 0)) throw new WrongWords(`usage:\n${OPERATOR_USAGE}`);
  const { wait = WAIT_SECONDS } = values;
  if (!/^\d{1,5}$/.test(wait)) throw new WrongWords("--wait must be a whole number of seconds");
  const loaded = loadConfig({ ...sources, flags: [] });
  if (loaded.kind !== "config") throw new WrongWords(loaded.kind === "invalid" ? loaded.message : OPERATOR_USAGE);
  const { operatorKey, adminHost, adminPort } = loaded.config;
  if (operatorKey === undefined) throw new WrongWords("AEGIS_OPERATOR_KEY must hold the operator's key");
  const host = adminHost === "0.0.0.0" || adminHost === "::" ? "127.0.0.1" : adminHost;
  const given = values.admin ?? (sources.environment["AEGIS_ADMIN_URL"] || undefined);
  const base = baseOf(given ?? `http://${host.includes(":") ? `[${host}]` : host}:${String(adminPort)}`);
  return {
    json: values.json === true,
    waitMs: Number(wait) * 1000,
    admin: new AdminPort(base, operatorKey),
    node: positionals[0],
  };
}

function parse(command: OperatorCommand, words: readonly string[]) {
  const options = { json: { type: "boolean" }, admin: { type: "string" }, wait: { type: "string" } } as const;
  try {
    const parsed = parseArgs({ args: [...words], options, strict: true, allowPositionals: true });
    if (command !== "drain" && parsed.values.wait !== undefined) throw new Error("--wait belongs to drain");
    return parsed;
  } catch (error) {
    throw new WrongWords(`${(error as Error).message.split(". ")[0] ?? ""}\nusage:\n${OPERATOR_USAGE}`);
  }
}

function baseOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isBase = url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.pathname === "/";
  if (!isBase) throw new WrongWords("the admin port must be named as http://HOST:PORT or https://HOST:PORT");
  return url.origin;
}
