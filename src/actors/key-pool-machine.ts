// A client's key pool: packages that go out once, soonest to expire first, with a last resort. Decides
// over part names (the directory); the packages' bytes pass from the store straight into the reply (G2).
import { assign, emit, enqueueActions, setup } from "xstate";
import { refuse } from "../protocol/errors.ts";
import type { Reason } from "../protocol/reasons.ts";
import { countClaim, overRate } from "./claim-rate.ts";
import type { Directory, Effect, TurnFacts } from "./effects.ts";
import { lowEffects, type LowTerms } from "./key-pool-low.ts";
import {
  dropEffects,
  EXPIRY_MARGIN_MS,
  firstUsable,
  handedOutPart,
  labelFromHex,
  parsePackageName,
  usedMark,
  type QueuedPackage,
} from "./key-pool-queues.ts";
import type { MachineInput, TimerCommand, WithFacts } from "./machine-types.ts";
import { oweToClient, publishEffects, type PoolGeneration, type PublishCommand } from "./key-pool-publish.ts";

export interface KeyPoolContext extends PoolGeneration {
  readonly applicationId: string;
  readonly id: string;
  /** Packages of the identity with this version only. */
  readonly identityVersion: number;
  /** When the soonest package stops being usable; 0: no timer is set. */
  readonly expiryAt: number;
  /** What expiry and a change of identity are told by: the settings of the last publish or claim. */
  readonly low?: LowTerms;
}

export type KeyPoolCommand =
  | PublishCommand
  | (LowTerms & {
      readonly type: "claim";
      /** In the order preferred. */
      readonly ciphersuites: readonly number[];
      readonly labelHex: string;
      readonly requester: string;
      readonly allowLastResort: boolean;
      readonly identityVersion: number;
      readonly claimsPerHour: number;
    })
  | (LowTerms & { readonly type: "remove"; readonly refs: readonly string[] | "all" })
  | { readonly type: "changeIdentity"; readonly identityVersion: number }
  | { readonly type: "close" }
  | TimerCommand;

type Event = WithFacts<KeyPoolCommand>;
type Claim = Extract<Event, { type: "claim" }>;
type Choice =
  | { readonly kind: "once" | "last"; readonly queued: QueuedPackage }
  | { readonly kind: "none"; readonly reason: Reason };

const EXPIRY_TIMER = "expiry";

/** First suite in order that has one; a one-time package before any last resort. */
function choose(context: KeyPoolContext, event: Claim): Choice {
  const { directory, now, labelHex } = event;
  if (overRate(directory, event.requester, now, event.claimsPerHour)) return { kind: "none", reason: "RATE_LIMITED" };
  if (event.identityVersion > context.identityVersion) return { kind: "none", reason: "POOL_EMPTY" };
  for (const kind of event.allowLastResort ? (["once", "last"] as const) : (["once"] as const)) {
    for (const ciphersuite of event.ciphersuites) {
      const queued = firstUsable(directory, kind, ciphersuite, labelHex, now);
      if (queued !== undefined) return { kind, queued };
    }
  }
  return { kind: "none", reason: holdsOtherSuites(event) ? "NO_CIPHERSUITE" : "POOL_EMPTY" };
}

function holdsOtherSuites({ directory, labelHex, now, ciphersuites, allowLastResort }: Claim): boolean {
  const kinds = allowLastResort ? (["once", "last"] as const) : (["once"] as const);
  return [1, 2, 3, 4, 5, 6, 7].some(
    (suite) =>
      !ciphersuites.includes(suite) &&
      kinds.some((kind) => firstUsable(directory, kind, suite, labelHex, now) !== undefined),
  );
}

function claimEffects(context: KeyPoolContext, event: Claim, choice: Choice): Effect[] {
  if (choice.kind === "none") return [{ type: "refuse", refusal: refuse(choice.reason) }];
  const { queued, kind } = choice;
  const { ciphersuite, labelHex, refHex, notAfter } = queued;
  const lastResort = kind === "last";
  const effects: Effect[] = [
    { type: "takePart", name: queued.name, keep: lastResort },
    {
      type: "reply",
      value: { ciphersuite, keyPackageRef: Buffer.from(refHex, "hex"), lastResort, notAfter },
    },
    ...countClaim(event.directory, event.requester, event.now),
  ];
  const used: Effect = { type: "putMark", name: usedMark(refHex), expiresAt: notAfter };
  if (!lastResort) return [...effects, used, ...lowEffects(context, event, event.directory, [queued.name])];
  // It goes out again and again; that it went out is written and told once, or claims could fill the inbox.
  const handedOut = handedOutPart(refHex);
  if (event.directory.has(handedOut)) return effects;
  const told = oweToClient(context, event, "keyPool.lastResortUsed", { ciphersuite, label: labelFromHex(labelHex) });
  return [...effects, used, { type: "putPart", name: handedOut, bytes: new Uint8Array() }, told];
}

function lowTerms({ low, target, inboxRetention }: LowTerms): LowTerms {
  return { low, target, inboxRetention };
}

function allNames(directory: Directory): readonly string[] {
  return [...directory.list("once/"), ...directory.list("last/")];
}

function namedBy(directory: Directory, refs: readonly string[] | "all"): readonly string[] {
  const names = allNames(directory);
  if (refs === "all") return names;
  const wanted = new Set(refs);
  return names.filter((name) => wanted.has(parsePackageName(name).refHex));
}

function expiredNames(directory: Directory, now: number): readonly string[] {
  return allNames(directory).filter((name) => parsePackageName(name).notAfter <= now + EXPIRY_MARGIN_MS);
}

/** When the timer must ring next: the soonest package's end of use. */
function soonestEnd(names: readonly string[]): number {
  const ends = names.map((name) => parsePackageName(name).notAfter - EXPIRY_MARGIN_MS);
  return ends.length === 0 ? 0 : Math.min(...ends);
}

function nextGeneration({ generation }: KeyPoolContext, { lineage }: TurnFacts): Required<PoolGeneration> {
  return { generation: generation + 1, begunIn: lineage };
}

function isAnother(context: PoolGeneration, { generation, begunIn }: PoolGeneration): boolean {
  return generation !== context.generation || (begunIn !== undefined && begunIn !== context.begunIn);
}

const { createMachine } = setup({
  types: {
    context: {} as KeyPoolContext,
    events: {} as Event,
    emitted: {} as Effect,
    input: {} as MachineInput,
  },
  guards: {
    judgedOtherGeneration: ({ context, event }) => event.type === "publish" && isAnother(context, event),
    olderIdentity: ({ context, event }) => event.type === "publish" && event.identityVersion < context.identityVersion,
    refused: ({ context, event }) => event.type === "claim" && choose(context, event).kind === "none",
    newerIdentity: ({ context, event }) =>
      (event.type === "changeIdentity" || event.type === "claim") && event.identityVersion > context.identityVersion,
    expiryDue: ({ event }) => event.type === "timer" && event.name === EXPIRY_TIMER,
  },
  actions: {
    publish: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "publish") return;
      const { effects, names, gone, come } = publishEffects(context, event);
      for (const effect of effects) enqueue.emit(effect);
      for (const effect of lowEffects(context, event, event.directory, gone, come)) enqueue.emit(effect);
      const expiryAt = soonestEnd(names);
      if (expiryAt !== 0 && expiryAt !== context.expiryAt) {
        enqueue.emit({ type: "setTimer", name: EXPIRY_TIMER, at: Math.max(expiryAt, event.now) });
      }
      enqueue.assign({
        ...nextGeneration(context, event),
        identityVersion: Math.max(context.identityVersion, event.identityVersion),
        expiryAt,
        low: lowTerms(event),
      });
    }),
    claim: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "claim") return;
      for (const effect of claimEffects(context, event, choose(context, event))) enqueue.emit(effect);
      enqueue.assign({ low: lowTerms(event) });
    }),
    refuseClaim: emit(({ context, event }): Effect => {
      const choice = event.type === "claim" ? choose(context, event) : undefined;
      return { type: "refuse", refusal: refuse(choice?.kind === "none" ? choice.reason : "POOL_EMPTY") };
    }),
    remove: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "remove") return;
      const names = namedBy(event.directory, event.refs);
      for (const effect of dropEffects(event.directory, names)) enqueue.emit(effect);
      for (const effect of lowEffects(context, event, event.directory, names)) enqueue.emit(effect);
      enqueue.emit({ type: "reply", value: { removed: names.length } });
      enqueue.assign(nextGeneration(context, event));
    }),
    dropAll: enqueueActions(({ context, event, enqueue }) => {
      const names = allNames(event.directory);
      for (const effect of dropEffects(event.directory, names)) enqueue.emit(effect);
      if (context.low !== undefined) {
        for (const effect of lowEffects(context, context.low, event.directory, names)) enqueue.emit(effect);
      }
      const identityVersion = event.type === "changeIdentity" ? event.identityVersion : context.identityVersion;
      enqueue.assign({ ...nextGeneration(context, event), identityVersion });
    }),
    expire: enqueueActions(({ context, event, enqueue }) => {
      const names = expiredNames(event.directory, event.now);
      for (const effect of dropEffects(event.directory, names)) enqueue.emit(effect);
      if (names.length > 0 && context.low !== undefined) {
        const keyPackageRefs = names.map((name) => Buffer.from(parsePackageName(name).refHex, "hex"));
        enqueue.emit(oweToClient(context, context.low, "keyPool.expired", { keyPackageRefs }));
        for (const effect of lowEffects(context, context.low, event.directory, names)) enqueue.emit(effect);
      }
      const gone = new Set(names);
      const expiryAt = soonestEnd(allNames(event.directory).filter((name) => !gone.has(name)));
      if (expiryAt !== 0) enqueue.emit({ type: "setTimer", name: EXPIRY_TIMER, at: Math.max(expiryAt, event.now) });
      enqueue.assign({ ...nextGeneration(context, event), expiryAt });
    }),
    purge: emit((): Effect => ({ type: "purge" })),
    clear: assign(({ context, event }) => ({ ...nextGeneration(context, event), expiryAt: 0 })),
    refuse: emit((_, params: { reason: Reason }): Effect => ({ type: "refuse", refusal: refuse(params.reason) })),
  },
});

export const keyPoolMachine = createMachine({
  id: "keyPool",
  context: ({ input }) => ({
    applicationId: input.applicationId,
    id: input.id,
    identityVersion: 0,
    generation: 0,
    expiryAt: 0,
  }),
  initial: "open",
  states: {
    open: {
      on: {
        publish: [
          { guard: "judgedOtherGeneration", actions: { type: "refuse", params: { reason: "STATE_MOVED" } } },
          { guard: "olderIdentity", actions: { type: "refuse", params: { reason: "STATE_MOVED" } } },
          { actions: "publish" },
        ],
        claim: [{ guard: "refused", actions: "refuseClaim" }, { actions: "claim" }],
        remove: { actions: "remove" },
        changeIdentity: { guard: "newerIdentity", actions: "dropAll" },
        close: { target: "closed", actions: ["purge", "clear"] },
        timer: { guard: "expiryDue", actions: "expire" },
      },
    },
    closed: {
      on: {
        close: {},
        timer: {},
        "*": { actions: { type: "refuse", params: { reason: "CLIENT_NOT_FOUND" } } },
      },
    },
  },
});
