// The one suite that every store driver passes. A driver's own test file calls it with how to open it.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SabotageSwitch } from "../../src/store/sabotage.ts";
import type { Store } from "../../src/store/store.ts";
import { batchCases } from "./store-batch-cases.ts";
import type { CaseContext, StoreCase } from "./store-case.ts";
import { ownershipCases } from "./store-ownership-cases.ts";
import { readCases } from "./store-read-cases.ts";
import { tagCases } from "./store-tag-cases.ts";
import { takeCases } from "./store-take-cases.ts";

export const CONFORMANCE_SHARDS = 128;

export interface StoreHarness {
  /** Opens the same data each time; the caller closes it before it asks again. */
  open(sabotage?: ReadonlySet<SabotageSwitch>): Promise<Store>;
  /** Removes the data. */
  dispose(): Promise<void>;
}

const cases: readonly StoreCase[] = [...ownershipCases, ...batchCases, ...takeCases, ...readCases, ...tagCases];

/** Switches that break a promise, and the case that must notice. */
const sabotages: readonly { readonly switch: SabotageSwitch; readonly caught: string }[] = [
  { switch: "fenceOff", caught: "[P2] a batch under another number, another nonce or a deposed fence changes nothing" },
  { switch: "fenceGreaterOrEqual", caught: "[P2] a newer fence number than the shard's is refused like an older one" },
  { switch: "sequenceOff", caught: "[P3] a gap and a reused sequence number with other operations are refused" },
  {
    switch: "receiptsNotStored",
    caught: "[P3] the last batch sent again answers the stored receipt word for word and applies nothing twice",
  },
];

export function describeStore(driver: string, makeHarness: () => Promise<StoreHarness>): void {
  describe(driver, () => {
    let harness: StoreHarness;
    let store: Store;
    let nextShard = 0;
    const contextOf = (): CaseContext => {
      // Some cases use the next shard too.
      const shard = nextShard;
      nextShard += 2;
      return {
        store,
        shard,
        applicationId: randomUUID(),
        async reopen() {
          await store.close();
          store = await harness.open();
          return store;
        },
      };
    };
    beforeAll(async () => {
      harness = await makeHarness();
      store = await harness.open();
    });
    afterAll(async () => {
      await store.close();
      await harness.dispose();
    });
    for (const each of cases) test(each.name, () => each.run(contextOf()));

    describe("a broken store is caught", () => {
      for (const { switch: broken, caught } of sabotages) {
        test(`${broken} turns red: ${caught}`, async () => {
          const found = cases.find(({ name }) => name === caught);
          await store.close();
          store = await harness.open(new Set([broken]));
          const run = found?.run(contextOf());
          await expect(run).rejects.toThrow();
          await store.close();
          store = await harness.open();
        });
      }
    });
  });
}
