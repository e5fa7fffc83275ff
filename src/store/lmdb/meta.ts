// What a data folder says about itself: format, shard count, deployment (F18). Written once.
import { randomBytes } from "node:crypto";
import { SHARD_COUNT_MAX } from "../shard-count.ts";
import { StoreRefused } from "../store.ts";
import type { Database } from "./database.ts";
import { metaKey } from "./keys.ts";

const FORMAT = "1";

export interface Meta {
  readonly deploymentId: string;
}

export interface MetaOptions {
  readonly shardCount: number;
  readonly deployment?: string;
}

/** @throws StoreRefused when the folder was made for something else than is asked for. */
export function openMeta(database: Database, options: MetaOptions): Meta {
  const { shardCount } = options;
  if (!Number.isInteger(shardCount) || shardCount < 1 || shardCount > SHARD_COUNT_MAX) {
    throw new StoreRefused(`shardCount must be a whole number from 1 to ${SHARD_COUNT_MAX}`);
  }
  const stored = readMeta(database, "format");
  if (stored === undefined) return createMeta(database, options);
  if (stored !== FORMAT) throw new StoreRefused(`the data folder has format ${stored}; this version reads ${FORMAT}`);
  const storedCount = readMeta(database, "shardCount");
  if (storedCount !== String(shardCount)) {
    throw new StoreRefused(`the data folder was made with ${storedCount} shards; the configuration says ${shardCount}`);
  }
  adoptDeployment(database, options.deployment);
  return { deploymentId: readMeta(database, "deploymentId") ?? "" };
}

/** @throws StoreRefused when this is no data folder of ours */
export function checkFormat(database: Database): void {
  const stored = readMeta(database, "format");
  if (stored !== FORMAT) throw new StoreRefused(`not a store of format ${FORMAT}`);
}

function createMeta(database: Database, options: MetaOptions): Meta {
  const deploymentId = randomBytes(16).toString("hex");
  database.transactionSync(() => {
    writeMeta(database, "shardCount", String(options.shardCount));
    writeMeta(database, "deploymentId", deploymentId);
    writeMeta(database, "deployment", options.deployment ?? "");
    writeMeta(database, "format", FORMAT);
  });
  return { deploymentId };
}

/** A folder opened without a deployment belongs to the first that is named. */
function adoptDeployment(database: Database, deployment: string | undefined): void {
  const stored = readMeta(database, "deployment") ?? "";
  if (deployment === undefined || stored === deployment) return;
  if (stored !== "")
    throw new StoreRefused("the data folder belongs to another deployment: it was made with another AEGIS_SECRET");
  database.transactionSync(() => writeMeta(database, "deployment", deployment));
}

function readMeta(database: Database, name: string): string | undefined {
  return database.get(metaKey(name))?.toString();
}

function writeMeta(database: Database, name: string, value: string): void {
  database.put(metaKey(name), Buffer.from(value));
}
