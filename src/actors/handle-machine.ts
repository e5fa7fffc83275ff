// A handle: unique in its application (and domain). free → reserved → held, and back. A reservation is
// freed only after the identity actor has durably recorded that it will never be used (rule 5).
import { assign, emit, setup } from "xstate";
import { refuse } from "../protocol/errors.ts";
import type { ActorAddress } from "./actor-port.ts";
import type { Effect } from "./effects.ts";
import type { MachineInput, TimerCommand, WithFacts } from "./machine-types.ts";

export interface HandleContext {
  readonly applicationId: string;
  readonly id: string;
  /** Who holds or reserves it now. */
  readonly clientId?: string;
  /** The last who held it. */
  readonly lastClientId?: string;
  /** Whoever held it, the last one last: another credential may bring the same handle. Not in what older machines stored. */
  readonly holders?: readonly string[];
  readonly reservation?: string;
  /** Idempotency key of the create that reserved it. */
  readonly key?: string;
}

export type HandleCommand =
  | { readonly type: "reserve"; readonly clientId: string; readonly reservation: string; readonly key?: string }
  | { readonly type: "hold"; readonly clientId: string; readonly reservation: string }
  /** Of one reservation only: a release on its way must not undo a later reservation by the same client. */
  | { readonly type: "release"; readonly clientId: string; readonly reservation: string }
  /** `under`: the reservation under which its holder will release it. */
  | {
      readonly type: "reservationSettled";
      readonly reservation: string;
      readonly held: boolean;
      readonly under?: string;
    }
  | TimerCommand;

/** Longer than any request may live: whoever reserved has given up by then. */
const SETTLE_AFTER_MS = 45_000;
const SETTLE_TIMER = "settle";
/** Holders of one handle that are remembered. */
export const HOLDERS_MAX = 16;

const { createMachine } = setup({
  types: {
    context: {} as HandleContext,
    events: {} as WithFacts<HandleCommand>,
    emitted: {} as Effect,
    input: {} as MachineInput,
  },
  guards: {
    sameClient: ({ context, event }) => "clientId" in event && event.clientId === context.clientId,
    sameHolding: ({ context, event }) =>
      event.type === "release" && event.clientId === context.clientId && event.reservation === context.reservation,
    sameReservation: ({ context, event }) => "reservation" in event && event.reservation === context.reservation,
    settledUnused: ({ context, event }) =>
      event.type === "reservationSettled" && event.reservation === context.reservation && !event.held,
    settledHeld: ({ context, event }) =>
      event.type === "reservationSettled" && event.reservation === context.reservation && event.held,
  },
  actions: {
    reserve: assign(({ context, event }) => {
      if (event.type !== "reserve") return context;
      const { clientId, reservation, key = "" } = event;
      return { ...context, clientId, reservation, key };
    }),
    holdUnder: assign(({ context, event }) =>
      event.type === "reservationSettled" ? { ...context, reservation: event.under ?? event.reservation } : context,
    ),
    become: assign(({ context }) => {
      const { clientId, lastClientId } = context;
      if (clientId === undefined) return context;
      const { holders = lastClientId === undefined ? [] : [lastClientId] } = context;
      const others = holders.filter((holder) => holder !== clientId);
      return { ...context, lastClientId: clientId, holders: [...others, clientId].slice(-HOLDERS_MAX) };
    }),
    answerHolder: emit(({ context }): Effect => ({
      type: "reply",
      value: { clientId: context.clientId, reservation: context.reservation },
    })),
    armSettling: emit(({ event }): Effect => ({
      type: "setTimer",
      name: SETTLE_TIMER,
      at: event.now + SETTLE_AFTER_MS,
    })),
    disarmSettling: emit((): Effect => ({ type: "clearTimer", name: SETTLE_TIMER })),
    askIdentity: emit(({ context }): Effect => ({
      type: "tell",
      to: identityOf(context),
      command: { type: "settleReservation", reservation: context.reservation, handleId: context.id } as {
        type: string;
      },
    })),
    forgetCreate: emit(({ context }): Effect => ({ type: "forget", key: context.key ?? "" })),
    refuseTaken: emit((): Effect => ({ type: "refuse", refusal: refuse("HANDLE_TAKEN") })),
  },
});

function identityOf(context: HandleContext): ActorAddress {
  return { applicationId: context.applicationId, kind: "identity", id: context.clientId ?? "" };
}

export const handleMachine = createMachine({
  id: "handle",
  context: ({ input }) => ({ applicationId: input.applicationId, id: input.id }),
  initial: "free",
  states: {
    free: {
      on: {
        reserve: { target: "reserved", actions: ["reserve", "armSettling", "answerHolder"] },
      },
    },
    reserved: {
      on: {
        // The same client asks again (a chain that began anew): the reservation that stands is the answer.
        reserve: [{ guard: "sameClient", actions: "answerHolder" }, { actions: "refuseTaken" }],
        hold: { guard: "sameReservation", target: "held", actions: ["disarmSettling", "become"] },
        release: { guard: "sameHolding", target: "free", actions: ["disarmSettling"] },
        reservationSettled: [
          { guard: "settledHeld", target: "held", actions: ["disarmSettling", "holdUnder", "become"] },
          { guard: "settledUnused", target: "free", actions: ["disarmSettling", "forgetCreate"] },
        ],
        timer: { actions: ["askIdentity", "armSettling"] },
      },
    },
    held: {
      on: {
        reserve: [
          // It comes back before its release has arrived, or never left: settled anew either way.
          { guard: "sameClient", target: "reserved", actions: ["reserve", "armSettling", "answerHolder"] },
          { actions: "refuseTaken" },
        ],
        release: { guard: "sameHolding", target: "free" },
      },
    },
  },
});
