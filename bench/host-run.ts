// How calls gather into batches at so many in flight on an actor host alone, in this process and without sockets; what
// the store's driver does with the same messages when each is a batch of its own: the floor; what is left of that when
// each message has its turn first; and what the driver does with batches as large as the host's, made up beforehand. All
// use the same Redis, in turns.
import { randomUUID } from "node:crypto";
import { openRedisStore } from "../src/store/redis/redis-store.ts";
import { actorKey } from "../src/actors/actor-address.ts";
import { groupActorId } from "../src/services/service-ports.ts";
import type { Operation, Store } from "../src/store/store.ts";
import { APPLICATION, GroupServiceWorld } from "../test/support/group-service-world.ts";
import { opaqueMessage } from "../test/support/opaque-messages.ts";
import { SyntheticGroup } from "../test/support/synthetic-group.ts";
import { BareTurns } from "./bare-turns.ts";
import { Straight } from "./driver-floor.ts";
import { medians } from "./medians.ts";
import { cpuMicrosOf } from "./process-figures.ts";
import { measured } from "./rates.ts";

export interface HostFigures {
  readonly messagesPerSecond: number;
  /** Of this process, and of redis-server, for one message. */
  readonly micros: number;
  readonly redisMicros: number;
  /** Answers that waited for one batch, and operations in it. */
  readonly answersABatch: number;
  readonly operationsABatch: number;
  /** From a batch's first turn until it is sent. */
  readonly waitMs: number;
  /** Each message a batch of its own. */
  readonly floorPerSecond: number;
  readonly floorMicros: number;
  /** The same behind the message's turn: no host. */
  readonly barePerSecond: number;
  readonly bareMicros: number;
  /** Batches of the host's mean size. */
  readonly gatheredPerSecond: number;
  readonly gatheredMicros: number;
  /** The host against each, in the same round. */
  readonly floorShare: number;
  readonly bareShare: number;
  readonly gatheredShare: number;
}

export type LoneHostFigures = Pick<
  HostFigures,
  "messagesPerSecond" | "micros" | "redisMicros" | "answersABatch" | "operationsABatch" | "waitMs"
>;

export interface HostRunOptions {
  readonly redis: { readonly url: string; readonly pid: number };
  readonly inFlight: number;
  readonly shards: number;
}

const FOUNDED_AT_ONCE = 64;

/** The first round compiles the code and does not count. */
export const ROUNDS = 9;

/** An actor host by itself, with as many groups as messages in flight. */
export class LoneHost {
  readonly #redisPid: number;
  readonly #store: Store;
  readonly #world: GroupServiceWorld;
  readonly #groups: readonly Uint8Array[];
  readonly #founded: readonly Operation[];

  private constructor(redisPid: number, store: Store, world: GroupServiceWorld, groups: readonly Uint8Array[]) {
    this.#redisPid = redisPid;
    this.#store = store;
    this.#world = world;
    this.#groups = groups;
    this.#founded = [...world.written];
  }

  static async open(options: HostRunOptions): Promise<LoneHost> {
    const store = await openPrefix("host", options);
    const world = await GroupServiceWorld.open({ store });
    return new LoneHost(options.redis.pid, store, world, await foundGroups(world, options.inFlight));
  }

  /** The same messages to the same groups without the host. @param store an empty one */
  bareTurns(store: Store): Promise<BareTurns> {
    const groups = this.#groups.map((groupId) => ({
      actor: actorKey({ applicationId: APPLICATION, kind: "group", id: groupActorId(groupId) }),
      command: this.#world.sendCommand(opaqueMessage(groupId, 0n, "application")),
    }));
    return BareTurns.open(store, this.#founded, groups);
  }

  round(roundMs: number): Promise<LoneHostFigures> {
    return sendFrom(this.#world, this.#groups, this.#redisPid, roundMs);
  }

  async close(): Promise<void> {
    await this.#world.close();
    await this.#store.close();
  }
}

/** Of each figure the median of the rounds. */
export async function runHost({ roundMs, ...options }: HostRunOptions & { roundMs: number }): Promise<HostFigures> {
  const lone = await LoneHost.open(options);
  const others = [await openPrefix("floor", options), await openPrefix("bare", options)] as const;
  try {
    const straight = await Straight.claim(others[0]);
    const turns = await lone.bareTurns(others[1]);
    const rounds: HostFigures[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const floor = await straight.send(options.inFlight, 1, roundMs);
      const host = await lone.round(roundMs);
      const bare = await turns.send(roundMs);
      const gathered = await straight.send(options.inFlight, host.answersABatch, roundMs);
      if (round === 0) continue;
      rounds.push({
        ...host,
        floorPerSecond: floor.perSecond,
        floorMicros: floor.micros,
        barePerSecond: bare.perSecond,
        bareMicros: bare.micros,
        gatheredPerSecond: gathered.perSecond,
        gatheredMicros: gathered.micros,
        floorShare: host.messagesPerSecond / floor.perSecond,
        bareShare: host.messagesPerSecond / bare.perSecond,
        gatheredShare: host.messagesPerSecond / gathered.perSecond,
      });
    }
    return medians(rounds);
  } finally {
    await lone.close();
    for (const store of others) await store.close();
  }
}

function openPrefix(who: string, { redis, inFlight, shards }: HostRunOptions): Promise<Store> {
  const prefix = `${who}-${String(inFlight)}-${String(shards)}`;
  return openRedisStore({ url: redis.url, prefix, durability: "fsync", shardCount: shards });
}

async function foundGroups(world: GroupServiceWorld, count: number): Promise<Uint8Array[]> {
  // One member founds them all: only their ids differ.
  const founder = SyntheticGroup.create(1, { epoch: 0n });
  const found = async (): Promise<Uint8Array> => {
    const groupId = Buffer.from(randomUUID());
    const groupInfo = founder.groupInfoMessage({ context: { groupId } });
    const answer = await world.create({ groupInfo, tracking: "ordering", settings: { externalJoin: "none" } });
    if (answer.kind === "refused") throw new Error(JSON.stringify(answer.refusal));
    return groupId;
  };
  const groups: Uint8Array[] = [];
  while (groups.length < count) {
    const more = Math.min(FOUNDED_AT_ONCE, count - groups.length);
    groups.push(...(await Promise.all(Array.from({ length: more }, found))));
  }
  return groups;
}

/** Each group's next message is sent when the one before is answered. */
async function sendFrom(
  world: GroupServiceWorld,
  groups: readonly Uint8Array[],
  redisPid: number,
  forMs: number,
): Promise<LoneHostFigures> {
  const before = { ...world.batches };
  const redisBefore = cpuMicrosOf(redisPid);
  // What clients make is no work of the host.
  const senders = groups.map((groupId) => world.sender(groupId, opaqueMessage(groupId, 0n, "application")));
  const rate = await measured(forMs, async (isTime, sent) => {
    await Promise.all(
      senders.map(async (send) => {
        while (isTime()) {
          const outcome = await send();
          if (outcome.kind === "refused") throw new Error(JSON.stringify(outcome.refusal));
          sent(1);
          // Nobody reads what was handed to the store.
          world.written.length = 0;
        }
      }),
    );
  });
  const redisMicros = (cpuMicrosOf(redisPid) - redisBefore) / rate.messages;
  const batches = world.batches.count - before.count;
  const each = (name: "answers" | "operations" | "waitMs"): number => (world.batches[name] - before[name]) / batches;
  return {
    messagesPerSecond: rate.perSecond,
    micros: rate.micros,
    redisMicros,
    answersABatch: each("answers"),
    operationsABatch: each("operations"),
    waitMs: each("waitMs"),
  };
}
