// How calls gather into batches at so many in flight on an actor host alone, in this process and without sockets; what
// the store's driver does with the same messages when each is a batch of its own: the floor; and what it does with
// batches as large as the host's, made up beforehand. All use the same Redis, in turns.
import { randomBytes, randomUUID } from "node:crypto";
import { openRedisStore } from "../src/store/redis/redis-store.ts";
import type { Operation, Store } from "../src/store/store.ts";
import { GroupServiceWorld } from "../test/support/group-service-world.ts";
import { opaqueMessage } from "../test/support/opaque-messages.ts";
import { SyntheticGroup } from "../test/support/synthetic-group.ts";
import { medians } from "./medians.ts";
import { cpuMicrosOf } from "./process-figures.ts";

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
  /** Batches of the host's mean size. */
  readonly gatheredPerSecond: number;
  readonly gatheredMicros: number;
}

export type LoneHostFigures = Omit<
  HostFigures,
  "floorPerSecond" | "floorMicros" | "gatheredPerSecond" | "gatheredMicros"
>;

interface Rate {
  readonly messages: number;
  readonly perSecond: number;
  readonly micros: number;
}

export interface HostRunOptions {
  readonly redis: { readonly url: string; readonly pid: number };
  readonly inFlight: number;
  readonly shards: number;
}

const FOUNDED_AT_ONCE = 64;
/** About what a small message leaves: its log entry, the group's head, its remembered result. */
const BODY_BYTES = 150;
const HEAD_BYTES = 400;
const RESULT_BYTES = 100;
const RESULT_TTL_MS = 600_000;

/** The first round compiles the code and does not count. */
export const ROUNDS = 5;

/** An actor host by itself, with as many groups as messages in flight. */
export class LoneHost {
  readonly #redisPid: number;
  readonly #store: Store;
  readonly #world: GroupServiceWorld;
  readonly #groups: readonly Uint8Array[];

  private constructor(redisPid: number, store: Store, world: GroupServiceWorld, groups: readonly Uint8Array[]) {
    this.#redisPid = redisPid;
    this.#store = store;
    this.#world = world;
    this.#groups = groups;
  }

  static async open(options: HostRunOptions): Promise<LoneHost> {
    const store = await openPrefix("host", options);
    const world = await GroupServiceWorld.open({ store });
    return new LoneHost(options.redis.pid, store, world, await foundGroups(world, options.inFlight));
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
  const other = await openPrefix("floor", options);
  try {
    const straight = await Straight.claim(other);
    const rounds: HostFigures[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const host = await lone.round(roundMs);
      const floor = await straight.send(options.inFlight, 1, roundMs);
      const gathered = await straight.send(options.inFlight, host.answersABatch, roundMs);
      if (round === 0) continue;
      rounds.push({
        ...host,
        floorPerSecond: floor.perSecond,
        floorMicros: floor.micros,
        gatheredPerSecond: gathered.perSecond,
        gatheredMicros: gathered.micros,
      });
    }
    return medians(rounds);
  } finally {
    await lone.close();
    await other.close();
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

/** The driver without a host: one batch after another on every shard. */
class Straight {
  readonly #store: Store;
  readonly #fences: readonly Parameters<Store["commit"]>[1][];
  readonly #sequences: number[];
  /** Messages sent to each group so far. */
  readonly #offsets = new Map<string, number>();

  private constructor(store: Store, fences: readonly Parameters<Store["commit"]>[1][]) {
    this.#store = store;
    this.#fences = fences;
    this.#sequences = fences.map(() => 0);
  }

  static async claim(store: Store): Promise<Straight> {
    const claimant = { nonce: "floor", owner: "floor", address: "floor", freshLineage: "floor" };
    const claims = Array.from({ length: store.shardCount }, async (_, shard) => {
      const claimed = await store.claim(shard, undefined, claimant);
      if (claimed.kind !== "claimed") throw new Error("the floor's own prefix is taken");
      return claimed.record.fence;
    });
    return new Straight(store, await Promise.all(claims));
  }

  /** Batches of that mean size, on as many shards at once as keep that many messages waiting. */
  send(inFlight: number, messagesABatch: number, forMs: number): Promise<Rate> {
    const shards = Math.min(this.#fences.length, Math.max(1, Math.round(inFlight / messagesABatch)));
    return measured(forMs, async (isTime, sent) => {
      const shard = async (n: number): Promise<void> => {
        // Whole messages, so many that their mean is right.
        for (let owed = 0; isTime();) {
          owed += messagesABatch;
          const size = Math.max(1, Math.floor(owed));
          owed -= size;
          await this.#commit(n, size);
          sent(size);
        }
      };
      await Promise.all(Array.from({ length: shards }, (_, n) => shard(n)));
    });
  }

  async #commit(shard: number, messages: number): Promise<void> {
    const sequence = (this.#sequences[shard] ?? 0) + 1;
    this.#sequences[shard] = sequence;
    const operations = Array.from({ length: messages }, (_, n) => {
      const group = `bench/group/${String(shard)}-${String(n)}`;
      const offset = (this.#offsets.get(group) ?? 0) + 1;
      this.#offsets.set(group, offset);
      return operationsOf(group, offset);
    });
    const fence = this.#fences[shard] as Parameters<Store["commit"]>[1];
    const outcome = await this.#store.commit(shard, fence, sequence, operations.flat());
    if (outcome.kind !== "applied") throw new Error(`a commit was ${outcome.kind}`);
  }
}

const BODY = randomBytes(BODY_BYTES);
const HEAD = randomBytes(HEAD_BYTES);
const RESULT = randomBytes(RESULT_BYTES);

/** What one message makes a batch hold. */
function operationsOf(actor: string, offset: number): Operation[] {
  const now = Date.now();
  return [
    { op: "append", actor, entry: { offset, time: now, type: "application", body: BODY } },
    { op: "putMark", actor, name: `result-${String(offset)}`, bytes: RESULT, expiresAt: now + RESULT_TTL_MS },
    { op: "putSnapshot", actor, bytes: HEAD },
  ];
}

async function measured(
  forMs: number,
  work: (isTime: () => boolean, sent: (count: number) => void) => Promise<void>,
): Promise<Rate> {
  let messages = 0;
  const cpu = process.cpuUsage();
  const began = performance.now();
  await work(
    () => performance.now() - began < forMs,
    (count) => (messages += count),
  );
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { messages, perSecond: messages / seconds, micros: (user + system) / messages };
}
