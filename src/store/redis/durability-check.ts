// Whether a Redis can keep the configured durability level (GUARANTEES, "Durability levels"). Pure: judges
// what was read. Must say exactly what to set.
import type { Durability } from "../store.ts";

export interface RedisFacts {
  /** INFO server, replication and cluster, by field. */
  readonly info: ReadonlyMap<string, string>;
  /** CONFIG GET, by name; undefined where Redis does not let it be read. */
  readonly config: ReadonlyMap<string, string> | undefined;
}

export const CONFIG_READ = [
  "appendonly",
  "appendfsync",
  "no-appendfsync-on-rewrite",
  "maxmemory-policy",
  "cluster-allow-reads-when-down",
] as const;

export interface DurabilityDemand {
  readonly durability: Durability;
  /** The operator answers for the settings that can't be read. */
  readonly assumeDurability: boolean;
  /** The URL names a cluster. */
  readonly cluster: boolean;
}

/** What the operator has to change; empty when the level can be kept. */
export function faultsOf(facts: RedisFacts, demand: DurabilityDemand): string[] {
  const faults = serverFaults(facts.info, demand);
  if (facts.config !== undefined) return [...faults, ...configFaults(facts.config, demand)];
  if (!demand.assumeDurability) {
    faults.push(
      "its configuration can't be read (CONFIG GET is not allowed): allow it, or declare with assumeDurability " +
        `that it has ${wanted(demand)}`,
    );
  }
  return faults;
}

function serverFaults(info: ReadonlyMap<string, string>, { cluster }: DurabilityDemand): string[] {
  const faults: string[] = [];
  const version = info.get("redis_version") ?? "";
  if (Number(version.split(".")[0]) < 7) faults.push(`it is version ${version}: 7.0 or later is needed`);
  if (info.get("role") !== "master") faults.push("it is a replica: the URL must name the primary");
  if (!cluster && info.get("cluster_enabled") === "1")
    faults.push("it runs in cluster mode: name it with redis+cluster://");
  return faults;
}

function configFaults(config: ReadonlyMap<string, string>, { durability, cluster }: DurabilityDemand): string[] {
  const faults: string[] = [];
  const expect = (name: string, allowed: readonly string[]): void => {
    const found = config.get(name);
    if (found === undefined || !allowed.includes(found)) {
      faults.push(`set ${name} to ${allowed.join(" or ")} (it is ${found ?? "unknown"})`);
    }
  };
  expect("maxmemory-policy", ["noeviction"]);
  expect("appendonly", ["yes"]);
  expect("appendfsync", durability === "fsync" ? ["always"] : ["everysec", "always"]);
  expect("no-appendfsync-on-rewrite", ["no"]);
  // What a primary that is cut off from the others would answer is old.
  if (cluster) expect("cluster-allow-reads-when-down", ["no"]);
  return faults;
}

function wanted({ durability, cluster }: DurabilityDemand): string {
  const sync = durability === "fsync" ? "always" : "everysec";
  const one = `appendonly yes, appendfsync ${sync}, no-appendfsync-on-rewrite no, maxmemory-policy noeviction`;
  return cluster ? `${one}, cluster-allow-reads-when-down no` : one;
}
