// What all machines share: their input, and commands with the facts of the turn. Types only.
import type { TurnFacts } from "./effects.ts";

export interface MachineInput {
  readonly applicationId: string;
  readonly id: string;
}

/** Each command of a union, with the facts that the host adds. */
export type WithFacts<C> = C extends unknown ? C & TurnFacts : never;

/** A durable timer of this actor is due. */
export interface TimerCommand {
  readonly type: "timer";
  readonly name: string;
}
