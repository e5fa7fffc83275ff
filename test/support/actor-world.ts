// An actor host on a real store in a temporary folder, with tiny limits, a clock that can jump, and hosts
// that can be dropped without a word as kill -9 drops them: what tests of actors stand on.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ActorHost } from "../../src/actors/actor-host.ts";
import { actorKey, shardOf } from "../../src/actors/actor-address.ts";
import type { ActorAddress, Applied, Command, IdempotencyKey, Outcome } from "../../src/actors/actor-port.ts";
import type { HostLimits, HostSabotage } from "../../src/actors/host-options.ts";
import { machineCatalogue, type MachineCatalogue } from "../../src/actors/machine-catalogue.ts";
import type { ShardClaims } from "../../src/actors/shard-claim.ts";
import { decodeEnvelope, type PersistedState } from "../../src/actors/snapshot.ts";
import { Watermarks } from "../../src/cluster/watermarks.ts";
import { Ownership } from "../../src/cluster/ownership.ts";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import type { ActorKey, Store, StreamEntry } from "../../src/store/store.ts";
import { FaultyStore } from "./faulty-store.ts";

export const APPLICATION = "11111111-1111-4111-8111-111111111111";

export const LIMITS: HostLimits = {
  actorsMax: 1000,
  mailboxMax: 64,
  passivateAfterMs: 60_000,
  batchOperationsMax: 2048,
  batchBytesMax: 8 * 1024 * 1024,
  resultTtlMs: 600_000,
  receivedTtlMs: 600_000,
  outboxMessagesMax: 1024,
  timersMax: 1024,
  internalCallMs: 2_000,
};

export interface HostChoices {
  readonly limits?: Partial<HostLimits>;
  readonly catalogue?: MachineCatalogue;
  claims?(claims: ShardClaims): ShardClaims;
  readonly sabotage?: readonly HostSabotage[];
  published?(actor: ActorKey, lineage: string, entries: readonly StreamEntry[]): void;
  purged?(actor: ActorKey): void;
}

export interface CallChoices {
  readonly key?: IdempotencyKey | string;
  readonly withinMs?: number;
}

/** One host with its own view of the store, which a test can disturb or cut. */
export interface Node {
  readonly host: ActorHost;
  readonly store: FaultyStore;
  /** What the host told telemetry, as short lines. */
  readonly events: string[];
}

export class ActorWorld {
  /** The store beneath all nodes, undisturbed. */
  readonly store: Store;
  readonly #path: string | undefined;
  readonly #nodes = new Set<Node>();
  #clockJumpMs = 0;

  private constructor(path: string | undefined, store: Store) {
    this.#path = path;
    this.store = store;
  }

  /** @param redisUrl a Redis of the test's own; else the embedded store in a temporary folder */
  static async open(shardCount = 4, redisUrl?: string): Promise<ActorWorld> {
    if (redisUrl !== undefined) {
      const prefix = `world-${randomUUID()}`;
      return new ActorWorld(
        undefined,
        await openRedisStore({ url: redisUrl, prefix, durability: "memory", shardCount }),
      );
    }
    const path = await mkdtemp(join(tmpdir(), "aegis-actors-"));
    return new ActorWorld(path, await openLmdbStore({ path, durability: "memory", shardCount }));
  }

  readonly clock = { now: (): number => Date.now() + this.#clockJumpMs };

  /** Makes timers that lie ahead due when they are looked at next. */
  jump(ms: number): void {
    this.#clockJumpMs += ms;
  }

  /** A node that owns every shard: whoever owned them before is fenced. */
  async node(choices: HostChoices = {}): Promise<Node> {
    const node = this.nodeNotStarted(choices);
    node.host.start();
    await Promise.all(Array.from({ length: this.store.shardCount }, (_, shard) => node.host.acquire(shard)));
    return node;
  }

  nodeNotStarted(choices: HostChoices = {}): Node {
    const store = new FaultyStore(this.store);
    const events: string[] = [];
    const nodeId = randomUUID();
    const claims = new Ownership({
      store,
      nodeId: () => nodeId,
      address: () => "127.0.0.1:1",
      stance: () => "claim",
      watermarks: new Watermarks(store.shardCount),
      lineageChanged: (shard) => events.push(`lineage changed ${String(shard)}`),
      retryMinMs: 1,
      retryMaxMs: 20,
    });
    const host: ActorHost = new ActorHost({
      store,
      actors: { call: (call) => host.call(call) },
      forgetApplication: (applicationId) => Promise.resolve(host.forgetApplication(applicationId)),
      claims: choices.claims?.(claims) ?? claims,
      clock: this.clock,
      catalogue: choices.catalogue ?? machineCatalogue,
      limits: { ...LIMITS, ...choices.limits },
      events: {
        batchCommitted: (operations) => events.push(`committed ${String(operations)}`),
        shardLost: (shard, cause) => events.push(`lost ${String(shard)}: ${cause}`),
        shardReleased: (shard) => events.push(`released ${String(shard)}`),
        shardClaimed: (shard, fence) => events.push(`claimed ${String(shard)} ${String(fence)}`),
        actorFailed: (kind, cause) => events.push(`failed ${kind}: ${String(cause)}`),
        snapshotTooNew: (_, kind, { written }) => events.push(`too new: ${kind} ${written}`),
        actorsLive: (count) => events.push(`live ${String(count)}`),
      },
      published: choices.published ?? (() => undefined),
      proposeRemovals: () => Promise.resolve(),
      tooNew: (shard) => events.push(`shard ${shard} to a newer node`),
      purged: choices.purged ?? (() => undefined),
      seal: masked,
      open: masked,
      sabotage: new Set(choices.sabotage),
    });
    const node = { host, store, events };
    this.#nodes.add(node);
    return node;
  }

  /** As kill -9 does: nothing is flushed and nothing that is on its way is heard of again. */
  kill(node: Node): void {
    node.store.kill();
    void node.host.stop();
    this.#nodes.delete(node);
  }

  shardOf(address: ActorAddress): number {
    return shardOf(actorKey(address), this.store.shardCount);
  }

  async state(address: ActorAddress): Promise<PersistedState | undefined> {
    const [bytes] = await this.store.readSnapshots([{ shard: this.shardOf(address), actor: actorKey(address) }]);
    return bytes === undefined ? undefined : decodeEnvelope(bytes).state;
  }

  async close(): Promise<void> {
    for (const { store } of this.#nodes) {
      store.fault = () => undefined;
      store.release();
    }
    await Promise.all([...this.#nodes].map(({ host }) => host.stop()));
    await this.store.close();
    if (this.#path !== undefined) await rm(this.#path, { recursive: true, force: true });
  }
}

/** Stands for encryption: its own inverse, and nothing is readable in between. */
function masked(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => byte ^ 0x5a);
}

export function call(
  host: ActorHost,
  to: ActorAddress,
  command: Command & Record<string, unknown>,
  { key, withinMs = 5_000 }: CallChoices = {},
): Promise<Outcome> {
  const keyed = typeof key === "string" ? { key, digest: "same" } : key;
  return host.call({
    to,
    command,
    deadline: performance.now() + withinMs,
    ...(keyed === undefined ? {} : { key: keyed }),
  });
}

export function address(kind: ActorAddress["kind"], id: string = randomUUID()): ActorAddress {
  return { applicationId: APPLICATION, kind, id };
}

export function applied(outcome: Outcome): Applied {
  if (outcome.kind !== "applied") throw new Error(`refused: ${outcome.refusal.reason}`);
  return outcome;
}

export function reasonOf(outcome: Outcome): string {
  return outcome.kind === "applied" ? "applied" : outcome.refusal.reason;
}

/** Waits until `holds`, looking each few milliseconds; fails loudly when it does not come. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what = "the condition",
  withinMs = 5_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Lets everything that is ready run, several times over. */
export async function breathe(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
