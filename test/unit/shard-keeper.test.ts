// The keeper of shards when nothing can be had: it must leave the event loop to everybody else.
import { afterEach, expect, it } from "vitest";
import { ShardKeeper, type ShardKeeperOptions } from "../../src/cluster/shard-keeper.ts";
import { StoreUnavailable } from "../../src/store/store.ts";

let keeper: ShardKeeper | undefined;
afterEach(() => keeper?.stop());

/** Counts the looks at the store while a timer of 100 ms runs out. */
async function looksIn100Ms(more: Partial<ShardKeeperOptions>): Promise<number> {
  let looks = 0;
  const { store } = more;
  keeper = new ShardKeeper({
    host: { acquire: () => Promise.resolve(false), fenceOf: () => undefined },
    handOverMs: 5_000,
    incomingMax: 4,
    nodeId: () => "here",
    trusted: () => looks < 100_000,
    isMember: () => true,
    placedOn: () => "here",
    request: () => Promise.reject(new Error("nobody is there")),
    shardTaken: () => undefined,
    looked: () => undefined,
    failed: (error) => {
      throw error;
    },
    ...more,
    store: {
      shardCount: 8,
      readOwner: (shard) => {
        looks += 1;
        return store?.readOwner(shard) ?? Promise.resolve(undefined);
      },
    },
  });
  keeper.start();
  await new Promise((resolve) => setTimeout(resolve, 100));
  return looks;
}

it("[G6] [G7] a store that is away is not asked again before others had their turn", async () => {
  const readOwner = (): Promise<never> => Promise.reject(new StoreUnavailable("away"));
  expect(await looksIn100Ms({ store: { shardCount: 8, readOwner } })).toBeLessThanOrEqual(8);
});

it("[G6] [G7] neither is a shard that somebody is claiming already", async () => {
  expect(await looksIn100Ms({})).toBeLessThanOrEqual(8);
});
