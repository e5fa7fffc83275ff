// Whose the leaves of a group are is read as if each had been put by itself, whatever stands in the roster of its
// beginning and what in parts beside it (decision 14): random groups and commits, against a plain list.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { OwnedLeaf } from "../../src/actors/group-state.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { finish } from "../../src/mls/work.ts";
import { GroupRoster } from "../../src/services/group-roster.ts";
import { clientPagesWork, leafPagesWork } from "../../src/services/roster-pages.ts";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import type { Fence, Operation, Store } from "../../src/store/store.ts";
import { createGroup, submitCommit } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench } from "../support/machine-bench.ts";
import { randomFrom, seedOf } from "../support/seed.ts";

const GROUPS = 12;
const COMMITS = 12;

let folder: string;
let store: Store;
let fence: Fence;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "aegis-roster-"));
  store = await openLmdbStore({ path: folder, durability: "memory", shardCount: 1 });
  const claimed = await store.claim(0, undefined, { nonce: "n", owner: "o", address: "a", freshLineage: "l" });
  if (claimed.kind !== "claimed") throw new Error("not claimed");
  ({ fence } = claimed.record);
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

class Subject {
  readonly bench = new Bench(machineCatalogue.group, address("group"));
  readonly place = { shard: 0, actor: this.bench.key };
  /** What the group is: clients by leaf; undefined: a stranger's. */
  readonly leaves = new Map<number, string | undefined>();
  readonly former = new Set<string>();
  readonly #random: () => number;
  #epoch = 0;
  #named = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  async create(size: number): Promise<void> {
    const blanks = this.#random();
    for (let leaf = 0; leaf < size; leaf += 1) {
      if (this.#random() > blanks || leaf === size - 1) this.leaves.set(leaf, this.#client());
    }
    const clients = [...this.leaves.values()];
    const indexes = Uint32Array.from(this.leaves.keys());
    await this.#send(
      createGroup({
        tracking: "full",
        members: finish(leafPagesWork(indexes, clients)),
        full: {
          snapshot: { ...tree, groupContext: bytes, confirmationTag: bytes },
          leaves: size,
          clients: finish(clientPagesWork(indexes, clients)),
        },
      }),
    );
  }

  /** Some leave, some enter: at leaves that were left, that were blank, or behind all others; some of them come back. */
  async commit(): Promise<void> {
    const left = [...this.leaves.keys()].filter(() => this.#random() < 0.1);
    const removed = left.flatMap((leaf) => this.leaves.get(leaf) ?? []);
    for (const leaf of left) this.leaves.delete(leaf);
    for (const clientId of removed) this.former.add(clientId);
    const entered: OwnedLeaf[] = [];
    for (let n = this.below(6); n > 0; n -= 1) {
      const leaf = left.find((one) => !this.leaves.has(one) && this.#random() < 0.5) ?? this.below(400);
      if (this.leaves.has(leaf)) continue;
      const [back] = this.#random() < 0.5 ? this.former : [];
      const clientId = back ?? this.#client();
      if (back !== undefined) this.former.delete(back);
      this.leaves.set(leaf, clientId);
      entered.push({ leaf, ...(clientId === undefined ? {} : { clientId }) });
    }
    const added = entered.flatMap(({ clientId }) => (clientId === undefined ? [] : [{ clientId }]));
    const back = new Set(added.map(({ clientId }) => clientId));
    const full = { entered, left, memberCount: this.leaves.size, treeBytes: 1 };
    const gone = removed.filter((clientId) => !back.has(clientId));
    await this.#send(submitCommit(this.#epoch, { added, removed: gone, full }));
    this.#epoch += 1;
  }

  #client(): string | undefined {
    this.#named += 1;
    return this.#random() < 0.2 ? undefined : `client-${String(this.#named)}`;
  }

  async #send(command: object): Promise<void> {
    const { operations, refusal } = this.bench.send(command);
    expect(refusal).toBeUndefined();
    await write(operations);
  }
}

const bytes = Uint8Array.of(1);
const tree = { encoded: bytes, treeHash: "aGFzaA==", bytes: 1, members: 1 };

async function write(operations: readonly Operation[]): Promise<void> {
  const sequence = ((await store.readOwner(0))?.sequence ?? 0) + 1;
  expect((await store.commit(0, fence, sequence, operations)).kind).toBe("applied");
}

async function compare(subject: Subject, roster: GroupRoster): Promise<void> {
  const { place, leaves, bench, former } = subject;
  const head = bench.context;
  const width = Math.max(...leaves.keys(), 0) + 140;
  const all = Array.from({ length: width }, (_, leaf) => leaf);
  expect(await roster.owners(place, head, all)).toEqual(all.map((leaf) => leaves.get(leaf)));

  const clients = [...leaves].filter(([, clientId]) => clientId !== undefined) as [number, string][];
  const named = [...clients.map(([, clientId]) => clientId), ...former, "nobody", "constructor"];
  const standing = await roster.standing(place, head, named);
  expect(standing.map((member) => member?.leaf)).toEqual(named.map((_, n) => clients[n]?.[0]));

  const listed: OwnedLeaf[] = [];
  const limit = 1 + subject.below(300);
  for (;;) {
    const page = await roster.list(place, head, listed.at(-1)?.leaf ?? -1, limit);
    expect(page.length).toBeLessThanOrEqual(limit);
    listed.push(...page);
    if (page.length < limit) break;
  }
  const sorted = [...leaves].sort(([a], [b]) => a - b);
  expect(listed.map(({ leaf, clientId }) => [leaf, clientId])).toEqual(sorted);
}

test("[M5] leaves and clients are found and listed as they are, through pages and what stands beside them", async () => {
  const random = randomFrom(seedOf("group roster"));
  const roster = new GroupRoster(store);
  for (let group = 0; group < GROUPS; group += 1) {
    const subject = new Subject(random);
    await subject.create(group === 0 ? 1 : 1 + subject.below(group % 2 === 0 ? 1500 : 200));
    await compare(subject, roster);
    for (let commit = 0; commit < COMMITS; commit += 1) {
      await subject.commit();
      await compare(subject, roster);
    }
  }
});
