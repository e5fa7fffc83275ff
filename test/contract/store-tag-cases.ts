// The store's promises about its tag index.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import type { Store } from "../../src/store/store.ts";
import { seedOf } from "../support/seed.ts";
import type { StoreCase } from "./store-case.ts";

export const tagCases: readonly StoreCase[] = [
  {
    name: "[P10] the tag index ends the same however version writes arrive: shuffled, repeated, at once",
    async run({ store }) {
      const tags = fc.subarray(["a", "b", "ü}{", "d"]);
      const history = fc.array(tags, { minLength: 1, maxLength: 6 });
      const order = fc.array(fc.nat(), { minLength: 12, maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(history, order, (versions, numbers) => assertTagHistory(store, versions, numbers)),
        { numRuns: 25, seed: seedOf("[P10] tag index") },
      );
    },
  },
  {
    name: "[P10] a tag is read in order of client id, page by page, and counted",
    async run({ store, applicationId }) {
      const clients = Array.from({ length: 25 }, () => randomUUID()).sort();
      const tags = ["t", "x"];
      await Promise.all(
        clients.map((clientId) => store.writeTags({ applicationId, clientId, version: 3, tags, removed: [] })),
      );
      await store.writeTags({ applicationId: randomUUID(), clientId: randomUUID(), version: 1, tags, removed: [] });
      const read: string[] = [];
      for (;;) {
        const page = await store.readTag(applicationId, "t", read.at(-1) ?? "", 10);
        for (const found of page) assert.deepEqual([found.version, found.tags], [3, tags]);
        read.push(...page.map(({ clientId }) => clientId));
        if (page.length < 10) break;
      }
      assert.deepEqual(read, clients);
      assert.equal(await store.countTag(applicationId, "t"), 25);
      const [first] = clients as [string];
      await store.writeTags({ applicationId, clientId: first, version: 4, tags: ["x"], removed: ["t"] });
      assert.equal(await store.countTag(applicationId, "t"), 24);
      assert.equal(await store.countTag(applicationId, "x"), 25);
      assert.deepEqual((await store.readTag(applicationId, "x", "", 1))[0], {
        clientId: first,
        version: 4,
        tags: ["x"],
      });
      assert.equal(await store.countTag(applicationId, "never used"), 0);
    },
  },
];

/** Writes each version of a client's tags once or twice, in a random order, and compares with the last. */
async function assertTagHistory(store: Store, history: readonly string[][], order: readonly number[]): Promise<void> {
  const applicationId = randomUUID();
  const clientId = randomUUID();
  const writes = history.map((tags, index) => ({
    applicationId,
    clientId,
    version: index + 1,
    tags,
    removed: (history[index - 1] ?? []).filter((tag) => !tags.includes(tag)),
  }));
  const twice = writes.filter((_, index) => (order[index] ?? 0) % 2 === 0);
  const arriving = [...writes, ...twice]
    .map((write, index) => ({ write, at: order[index] ?? 0 }))
    .sort((one, other) => one.at - other.at);
  await Promise.all(arriving.map(({ write }) => store.writeTags(write)));
  const last = history.at(-1) ?? [];
  for (const tag of ["a", "b", "ü}{", "d"]) {
    const live = (await store.readTag(applicationId, tag, "", 10)).filter(({ version }) => version === history.length);
    assert.equal(live.length, last.includes(tag) ? 1 : 0, `${tag} of ${JSON.stringify(history)}`);
  }
}
