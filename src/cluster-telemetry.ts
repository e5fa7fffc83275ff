// What the nodes of a cluster tell the operator of one another and of their store: counted, and logged where a person should know.
import type { Logger } from "pino";
import { Counter, Gauge, type Registry } from "prom-client";
import type { StoreEvent } from "./store/store-event.ts";

/** As an operator knows it: by the address that it advertises. */
export interface NodeAt {
  readonly nodeId: string;
  readonly address: string;
}

export function clusterEvents(log: Logger, registry: Registry) {
  const registers = [registry];
  const members = new Gauge({ name: "aegis_members", help: "Other nodes that this one counts on.", registers });
  const expelled = new Counter({
    name: "aegis_expulsions_total",
    help: "Nodes that this one has expelled.",
    registers,
  });
  const distrusts = new Counter({
    name: "aegis_self_fences_total",
    help: "Times that this node stopped by itself, because it could not renew its heartbeat.",
    registers,
  });
  const forwarded = new Counter({ name: "aegis_calls_forwarded_total", help: "Calls sent to other nodes.", registers });
  const taken = new Counter({
    name: "aegis_shards_taken_total",
    help: "Shards taken from a living owner that did not hand them over in time.",
    registers,
  });
  const owned = new Gauge({ name: "aegis_shards_owned", help: "Shards that this node owns.", registers });
  const missing = new Gauge({
    name: "aegis_shards_missing",
    help: "Shards that this node should own and does not own yet.",
    registers,
  });
  return {
    memberJoined({ nodeId, address }: NodeAt) {
      members.inc();
      log.info({ member: nodeId, address }, "a node has joined");
    },
    memberGone({ nodeId, address }: NodeAt, wasExpelled: boolean) {
      members.dec();
      if (wasExpelled) expelled.inc();
      log.warn({ member: nodeId, address, expelled: wasExpelled }, "a node has gone");
    },
    memberReached: ({ nodeId, address }: NodeAt) => log.info({ member: nodeId, address }, "a node is reached again"),
    memberUnreached: ({ nodeId, address }: NodeAt, why: string) =>
      log.warn({ member: nodeId, address, why }, "a node can't be reached where it advertises"),
    rejoined: (nodeId: string) => log.warn({ member: nodeId }, "this node was expelled and comes back as a new one"),
    distrusted(cause: string) {
      distrusts.inc();
      log.error({ cause }, "this node stops by itself until it can be trusted again");
    },
    shardTaken(shard: number) {
      taken.inc();
      log.warn({ shard }, "a shard was not handed over in time and is taken");
    },
    callForwarded: () => forwarded.inc(),
    shardsCounted(ownedCount: number, missingCount: number) {
      owned.set(ownedCount);
      missing.set(missingCount);
    },
  };
}

export function storeEvents(log: Logger, registry: Registry) {
  const registers = [registry];
  const outages = new Counter({
    name: "aegis_store_outages_total",
    help: "Calls and heartbeats that the store did not answer.",
    registers,
  });
  return {
    /** What the Redis driver went through by itself: a connection lost, found again, a server refused. */
    storeEvent(event: StoreEvent) {
      log.warn({ event }, "the store");
    },
    storeUnavailable(error: unknown) {
      outages.inc();
      log.warn({ err: error }, "the store did not answer");
    },
    /** Counted like a call: an outage shows on a node that nobody asks anything, and where only writes fail. */
    heartbeatFailed(error: unknown) {
      outages.inc();
      log.warn({ err: error }, "a heartbeat did not reach the store");
    },
  };
}
