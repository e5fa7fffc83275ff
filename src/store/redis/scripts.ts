// Loads the Lua scripts, one file a command, each headed by its contract. Holds no state.
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { SabotageSwitch, SabotageSwitches } from "../sabotage.ts";

export const SCRIPT_NAMES = [
  "claim",
  "commit",
  "heartbeat",
  "list-parts",
  "load",
  "open-meta",
  "read-marks",
  "read-outbox",
  "read-stream",
  "read-tag",
  "read-timers",
  "renew-lineage",
  "write-tag",
] as const;

export type ScriptName = (typeof SCRIPT_NAMES)[number];

/** What a switch puts in the place of the line that bears its mark. Test builds only. */
const BROKEN: Partial<Record<SabotageSwitch, { readonly mark: string; readonly line: string }>> = {
  fenceOff: { mark: "--sabotage:fence", line: "local holds = true" },
  fenceGreaterOrEqual: { mark: "--sabotage:fence", line: "local holds = tonumber(ARGV[1]) >= tonumber(own[1])" },
  sequenceOff: { mark: "--sabotage:sequence", line: "local next_one = true" },
  receiptsNotStored: { mark: "--sabotage:receipt", line: "local remembered = ''" },
};

export interface Script {
  readonly lua: string;
  /** By which Redis knows it: hex SHA-1. */
  readonly digest: string;
}

export type Scripts = Readonly<Record<ScriptName, Script>>;

export function loadScripts(sabotage: SabotageSwitches): Scripts {
  const scripts = SCRIPT_NAMES.map((name): [ScriptName, Script] => {
    const lua = broken(readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), "utf8"), sabotage);
    return [name, { lua, digest: hash("sha1", lua) }];
  });
  return Object.fromEntries(scripts) as Record<ScriptName, Script>;
}

function broken(lua: string, sabotage: SabotageSwitches): string {
  let text = lua;
  for (const each of sabotage) {
    const change = BROKEN[each];
    if (change === undefined) continue;
    text = text
      .split("\n")
      .map((line) => (line.endsWith(change.mark) ? change.line : line))
      .join("\n");
  }
  return text;
}
