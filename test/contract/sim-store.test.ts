// The simulation's store against the store's conformance suite: what the simulation finds is then found on promises
// that the real stores keep, too.
import { randomUUID } from "node:crypto";
import { SimStore, SimStoreData } from "../simulation/sim-store.ts";
import { CONFORMANCE_SHARDS, describeStore } from "./store-conformance.ts";

describeStore("simulated store", () => {
  const data = new SimStoreData(CONFORMANCE_SHARDS);
  return Promise.resolve({
    open: (sabotage) =>
      Promise.resolve(
        new SimStore(
          {
            shardCount: CONFORMANCE_SHARDS,
            now: () => Date.now(),
            freshLineage: randomUUID,
            ...(sabotage === undefined ? {} : { sabotage }),
          },
          data,
        ),
      ),
    dispose: () => Promise.resolve(),
  });
});
