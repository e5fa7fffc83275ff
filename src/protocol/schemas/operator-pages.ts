// What the admin port tells an operator, and the commands of `aegis` read. Not part of the clients' protocol: it may
// gain fields at any time.
import { z } from "zod";

const count = z.int().min(0);

/** A member as the answering node sees it. Each start and each comeback has an id of its own. */
export const nodeOverview = z.object({
  nodeId: z.string(),
  /** host:port under which other nodes reach it. */
  address: z.string(),
  /** It hands its shards over and takes no more. */
  leaving: z.boolean(),
  /** The answering node's link to it stands; true of itself. */
  reachable: z.boolean(),
  shards: count,
  heartbeats: count,
  /** For how long the answering node has seen no heartbeat of it. */
  silentMs: count,
});

export const nodesOverview = z.object({
  answeredBy: z.string(),
  shardCount: count,
  /** Shards that no member owns: they are on their way to one. */
  unowned: count,
  nodes: z.array(nodeOverview),
});

export const shardOverview = z.object({
  shard: count,
  /** Who has claimed it last, if anybody has. */
  owner: z.string().optional(),
  /** False: whoever claimed it has gone, and nobody has taken it yet. */
  ownerIsMember: z.boolean(),
  address: z.string().optional(),
  fence: count.optional(),
  /** The member that should own it. */
  placedOn: z.string().optional(),
});

export const shardsOverview = z.object({ answeredBy: z.string(), shards: z.array(shardOverview) });

export const operatorRefusal = z.object({ error: z.object({ reason: z.string(), message: z.string() }) });

export type NodesOverview = z.infer<typeof nodesOverview>;
export type ShardsOverview = z.infer<typeof shardsOverview>;
