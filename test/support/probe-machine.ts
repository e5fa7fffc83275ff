// A machine for tests of the host: it owes messages, notes those that it gets, and keeps timers. It stands in
// the catalogue where the registry stands, so that addresses of that kind name probes.
import { assign, emit, enqueueActions, setup } from "xstate";
import type { ActorAddress } from "../../src/actors/actor-port.ts";
import type { Effect, TurnFacts } from "../../src/actors/effects.ts";
import { machineCatalogue, type MachineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { refuse } from "../../src/protocol/errors.ts";

export interface ProbeContext {
  /** What came, in order. */
  readonly notes: readonly (string | number)[];
  /** What went, in order. */
  readonly sent: readonly number[];
}

export type ProbeCommand =
  | { readonly type: "owe"; readonly to: readonly ActorAddress[]; readonly note: number }
  | { readonly type: "note"; readonly note: number }
  | { readonly type: "arm"; readonly name: string; readonly at: number }
  | { readonly type: "disarm"; readonly name: string }
  | { readonly type: "timer"; readonly name: string }
  | { readonly type: "no" };

const { createMachine } = setup({
  types: {
    context: {} as ProbeContext,
    events: {} as ProbeCommand & TurnFacts,
    emitted: {} as Effect,
  },
  actions: {
    owe: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "owe") return;
      for (const to of event.to) {
        enqueue.emit({ type: "tell", to, command: { type: "note", note: event.note } as { type: string } });
      }
      enqueue.assign({ sent: [...context.sent, event.note] });
    }),
    note: assign(({ context, event }) => {
      if (event.type === "note") return { notes: [...context.notes, event.note] };
      return event.type === "timer" ? { notes: [...context.notes, event.name] } : {};
    }),
    arm: enqueueActions(({ event, enqueue }) => {
      if (event.type === "arm") enqueue.emit({ type: "setTimer", name: event.name, at: event.at });
      if (event.type === "disarm") enqueue.emit({ type: "clearTimer", name: event.name });
    }),
    answer: emit(({ context }): Effect => ({ type: "reply", value: { notes: context.notes } })),
    refuse: emit((): Effect => ({ type: "refuse", refusal: refuse("QUOTA") })),
  },
});

export const probeCatalogue: MachineCatalogue = {
  ...machineCatalogue,
  registry: {
    version: 1,
    directoryPrefixes: [],
    machine: createMachine({
      id: "probe",
      context: { notes: [], sent: [] },
      on: {
        owe: { actions: ["owe", "answer"] },
        note: { actions: ["note", "answer"] },
        timer: { actions: ["note"] },
        arm: { actions: "arm" },
        disarm: { actions: "arm" },
        no: { actions: "refuse" },
      },
    }),
  },
};
