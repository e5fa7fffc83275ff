// Faults drawn by fast-check and suffered one after another by whatever the node asks of its store; when the
// plan is used up the store is well again, so that every run ends.
import fc from "fast-check";
import type { Fault, FaultyCall, FaultyStore } from "./faulty-store.ts";

export type FaultPlan = readonly (Fault | undefined)[];

const fault = fc.oneof(
  { weight: 6, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: fc.constantFrom<Fault>("before", "after") },
  { weight: 1, arbitrary: fc.constant<Fault>("fenced") },
  { weight: 2, arbitrary: fc.constantFrom<Fault>(0, 1, 3) },
);

export const faultPlan: fc.Arbitrary<FaultPlan> = fc.array(fault, { maxLength: 60 });

/** For writes alone, and more of them: what is owed is then often late. */
export const writeFaultPlan: fc.Arbitrary<FaultPlan> = fc.array(fault, { maxLength: 150 });

export function sufferBy(store: FaultyStore, plan: FaultPlan, only?: FaultyCall): void {
  let next = 0;
  store.fault = (call) => (only === undefined || call === only ? plan[next++] : undefined);
}
