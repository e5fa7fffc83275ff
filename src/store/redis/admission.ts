// What every new connection to Redis must pass before it is used: it keeps the durability level and
// belongs to this deployment (GUARANTEES "Durability levels", F18).
import { randomBytes } from "node:crypto";
import { StoreRefused, StoreUnavailable } from "../store.ts";
import type { RedisConnection, Reply } from "./connection.ts";
import { CONFIG_READ, type DurabilityDemand, faultsOf } from "./durability-check.ts";
import type { RedisKeys } from "./keys.ts";
import { Redirected } from "./redirected.ts";
import { list, numberOf, pairs, textOf } from "./replies.ts";

const FORMAT = "1";

export interface DeploymentDemand {
  readonly shardCount: number;
  readonly deployment: string;
  /** What was there when this process first connected. */
  readonly knownId: string | undefined;
}

export interface Deployment {
  readonly deploymentId: string;
  /** The store was empty until now. */
  readonly created: boolean;
}

/**
 * The server's own name for this run of it: another after each of its starts.
 * @throws StoreRefused saying what to set, StoreUnavailable for a cluster's replica: its primary is found elsewhere
 */
export async function checkDurability(
  connection: RedisConnection,
  demand: DurabilityDemand,
): Promise<string | undefined> {
  const info = new Map<string, string>();
  for (const section of ["server", "replication", "cluster"]) {
    for (const line of textOf(await connection.commandUngated("INFO", section)).split("\r\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) info.set(line.slice(0, colon), line.slice(colon + 1));
    }
  }
  // The map was older than the failover; the next one names another.
  if (demand.cluster && info.get("role") !== "master") throw new StoreUnavailable("it has become a replica");
  const faults = faultsOf({ info, config: await readConfig(connection) }, demand);
  if (faults.length === 0) return info.get("run_id");
  throw new StoreRefused(`this Redis can't keep durability "${demand.durability}": ${faults.join("; ")}`);
}

async function readConfig(connection: RedisConnection): Promise<ReadonlyMap<string, string> | undefined> {
  let reply: Reply;
  try {
    reply = await connection.commandUngated("CONFIG", "GET", ...CONFIG_READ);
  } catch (error) {
    // NOPERM, or the command is renamed: the operator must answer for it.
    if (error instanceof StoreUnavailable && /refused with (NOPERM|ERR)/.test(error.message)) return undefined;
    throw error;
  }
  return new Map(pairs(list(reply)).map(([name, value]) => [textOf(name), textOf(value)]));
}

/**
 * Undefined when another primary of the cluster keeps what the store says about itself.
 * @throws StoreRefused when the prefix is another deployment's, format's or shard count's
 */
export async function checkDeployment(
  connection: RedisConnection,
  keys: RedisKeys,
  demand: DeploymentDemand,
): Promise<Deployment | undefined> {
  const freshId = demand.knownId ?? randomBytes(16).toString("hex");
  const args = [FORMAT, demand.shardCount, freshId, demand.deployment];
  let reply: Reply;
  try {
    reply = await connection.scriptUngated("open-meta", [keys.meta()], args);
  } catch (error) {
    if (error instanceof Redirected) return undefined;
    throw error;
  }
  const [created, format, shardCount, id, deployment] = list(reply);
  if (textOf(format) !== FORMAT) {
    throw new StoreRefused(`the store has format ${textOf(format)}; this version reads ${FORMAT}`);
  }
  if (numberOf(shardCount) !== demand.shardCount) {
    const message = `the store was made with ${numberOf(shardCount)} shards; the configuration says ${demand.shardCount}`;
    throw new StoreRefused(message);
  }
  if (demand.deployment !== "" && textOf(deployment) !== demand.deployment) {
    throw new StoreRefused("the store's prefix belongs to another deployment: it was made with another AEGIS_SECRET");
  }
  return { deploymentId: textOf(id), created: created === 1 };
}
