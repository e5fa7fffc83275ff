import { expect, it } from "vitest";
import { LiveActor } from "../../src/actors/live-actor.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";

const actor = (): LiveActor => new LiveActor("a/handle/1", machineCatalogue.handle);
const outcome = new Promise<never>(() => undefined);

it("[L6] a result is kept while a call that came before it was durable may ask for it, and no longer", () => {
  const live = actor();
  live.recent.set("unsettled", { digest: "d", outcome });
  live.recent.set("settled", { digest: "d", outcome, forgetAfter: 5 });
  live.arrived = 5;
  live.handled = 5;
  live.forgetSettled();
  // What is not durable yet keeps all behind it: they become durable in their order.
  expect([...live.recent.keys()]).toEqual(["unsettled", "settled"]);
  (live.recent.get("unsettled") as { forgetAfter?: number }).forgetAfter = 4;
  live.handled = 4;
  live.forgetSettled();
  expect([...live.recent.keys()]).toEqual(["settled"]);
  live.handled = 5;
  live.forgetSettled();
  expect(live.recent.size).toBe(0);
});

it("[L6] the same for a sender's numbers", () => {
  const live = actor();
  for (let n = 1; n <= 100; n += 1) {
    live.received.set(`sender ${String(n)}`, { number: n, forgetAfter: n });
    live.handled = n;
    live.forgetSettled();
  }
  expect(live.received.size).toBe(0);
});

it("is idle only with an empty mailbox and nothing on its way", () => {
  const live = actor();
  expect(live.idle).toBe(true);
  live.unsettled = 1;
  expect(live.idle).toBe(false);
});
