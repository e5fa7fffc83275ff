// An application: its settings and its keys (as HMACs; never a secret). absent → active → deleted.
import { assign, emit, enqueueActions, setup } from "xstate";
import { encode } from "../protocol/codec.ts";
import { refuse } from "../protocol/errors.ts";
import type { Scope, Settings, SettingsChange } from "../protocol/schemas/application.ts";
import type { Effect } from "./effects.ts";
import type { MachineInput, TimerCommand, WithFacts } from "./machine-types.ts";

export interface KeyRecord {
  readonly keyId: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: number;
  readonly expiresAt?: number;
  readonly revokedAt?: number;
  /** Hex HMAC-SHA-256 of the whole token under the deployment's pepper. */
  readonly mac: string;
}

/** The back-end's own sender for one ciphersuite; the private key is sealed under the deployment's secret. */
export interface ExternalSenderRecord {
  readonly ciphersuite: number;
  readonly externalSender: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly sealedKey: Uint8Array;
}

export interface ApplicationContext {
  readonly id: string;
  readonly name: string;
  readonly settings?: Settings | undefined;
  readonly createdAt: number;
}

export type ApplicationCommand =
  | {
      readonly type: "create";
      readonly name: string;
      readonly settings: Settings;
      readonly key: KeyRecord;
      readonly senders: readonly ExternalSenderRecord[];
    }
  | {
      readonly type: "update";
      readonly settings: SettingsChange;
      /** For every suite that the change names; those that stand already are not replaced. */
      readonly senders: readonly ExternalSenderRecord[];
    }
  | {
      readonly type: "createKey";
      readonly key: KeyRecord;
      readonly token: string;
      /** Ids of keys that have ended for good, the one longest ago first: where there is no room, one of them goes. */
      readonly ended?: readonly string[];
    }
  | { readonly type: "revokeKey"; readonly keyId: string; readonly record?: KeyRecord }
  | { readonly type: "noteUse"; readonly keyId: string }
  | { readonly type: "delete" }
  | TimerCommand;

type Event = WithFacts<ApplicationCommand>;

/** Keys of one application; those that have ended are remembered while there is room. */
export const KEYS_MAX = 1000;
/** Every request that was under way when the application was deleted has ended by then: `ttlMsMax` may be 600 s. */
const PURGE_AFTER_MS = 605_000;
const PURGE_TIMER = "purge";

export function senderPart(ciphersuite: number | ""): string {
  return `sender/${String(ciphersuite)}`;
}

export function keyPart(keyId: string): string {
  return `key/${keyId}`;
}

function usePart(keyId: string): string {
  return `used/${keyId}`;
}

function putKey(key: KeyRecord): Effect {
  return { type: "putPart", name: keyPart(key.keyId), bytes: encode(key) };
}

/** The key that is forgotten for a new one. */
function endedKey({ ended, directory }: Extract<Event, { type: "createKey" }>): string | undefined {
  return ended?.find((keyId) => directory.has(keyPart(keyId)));
}

function merged(settings: Settings | undefined, change: SettingsChange): Settings {
  const given = Object.entries(change).filter(([, value]) => value !== undefined);
  return { ...(settings as Settings), ...(Object.fromEntries(given) as Partial<Settings>) };
}

const { createMachine } = setup({
  types: {
    context: {} as ApplicationContext,
    events: {} as Event,
    emitted: {} as Effect,
    input: {} as MachineInput,
  },
  guards: {
    keysFull: ({ event }) =>
      event.type === "createKey" && event.directory.count("key/") >= KEYS_MAX && endedKey(event) === undefined,
    keyHeld: ({ event }) => event.type === "noteUse" && event.directory.has(keyPart(event.keyId)),
    keyKnown: ({ event }) =>
      event.type === "revokeKey" && event.record !== undefined && event.directory.has(keyPart(event.keyId)),
    purgeDue: ({ event }) => event.type === "timer" && event.name === PURGE_TIMER,
  },
  actions: {
    create: assign(({ context, event }) =>
      event.type === "create"
        ? { ...context, name: event.name, settings: event.settings, createdAt: event.now }
        : context,
    ),
    update: assign(({ context, event }) =>
      event.type === "update" ? { ...context, settings: merged(context.settings, event.settings) } : context,
    ),
    answerSettings: emit(({ context }): Effect => ({ type: "reply", value: { settings: context.settings } })),
    putKey: enqueueActions(({ event, enqueue }) => {
      if (event.type === "create" || event.type === "createKey") enqueue.emit(putKey(event.key));
    }),
    putSenders: enqueueActions(({ event, enqueue }) => {
      if (event.type !== "create" && event.type !== "update") return;
      for (const sender of event.senders) {
        const name = senderPart(sender.ciphersuite);
        if (!event.directory.has(name)) enqueue.emit({ type: "putPart", name, bytes: encode(sender) });
      }
    }),
    forgetEnded: enqueueActions(({ event, enqueue }) => {
      if (event.type !== "createKey" || event.directory.count("key/") < KEYS_MAX) return;
      const keyId = endedKey(event);
      if (keyId === undefined) return;
      enqueue.emit({ type: "deletePart", name: keyPart(keyId) });
      enqueue.emit({ type: "deletePart", name: usePart(keyId) });
    }),
    answerKey: emit(({ event }): Effect => {
      if (event.type !== "createKey") throw new Error("only createKey is answered with a key");
      return { type: "reply", value: { keyId: event.key.keyId, secret: event.token } };
    }),
    revokeKey: enqueueActions(({ event, enqueue }) => {
      if (event.type !== "revokeKey" || event.record === undefined) return;
      enqueue.emit(putKey({ ...event.record, revokedAt: event.record.revokedAt ?? event.now }));
    }),
    noteUse: enqueueActions(({ event, enqueue }) => {
      if (event.type !== "noteUse") return;
      enqueue.emit({ type: "putPart", name: usePart(event.keyId), bytes: encode(event.now) });
    }),
    armPurge: emit(({ event }): Effect => ({ type: "setTimer", name: PURGE_TIMER, at: event.now + PURGE_AFTER_MS })),
    dropKeys: emit((): Effect => ({ type: "purge" })),
    forgetSettings: assign({ name: "", settings: undefined }),
    purge: emit(({ context }): Effect => ({ type: "purgeApplication", applicationId: context.id })),
    refuse: emit((_, params: { reason: Parameters<typeof refuse>[0] }): Effect => ({
      type: "refuse",
      refusal: refuse(params.reason),
    })),
  },
});

const refuseUnknown = { type: "refuse", params: { reason: "APPLICATION_NOT_FOUND" } } as const;

export const applicationMachine = createMachine({
  id: "application",
  context: ({ input }) => ({ id: input.id, name: "", createdAt: 0 }),
  initial: "absent",
  states: {
    absent: {
      on: {
        create: { target: "active", actions: ["create", "putKey", "putSenders"] },
        "*": { actions: refuseUnknown },
      },
    },
    active: {
      on: {
        create: {},
        update: { actions: ["update", "putSenders", "answerSettings"] },
        createKey: [
          { guard: "keysFull", actions: { type: "refuse", params: { reason: "KEYS_LIMIT" } } },
          { actions: ["forgetEnded", "putKey", "answerKey"] },
        ],
        revokeKey: [
          { guard: "keyKnown", actions: "revokeKey" },
          { actions: { type: "refuse", params: { reason: "KEY_NOT_FOUND" } } },
        ],
        noteUse: { guard: "keyHeld", actions: "noteUse" },
        delete: { target: "deleted", actions: ["dropKeys", "forgetSettings", "armPurge"] },
      },
    },
    deleted: {
      on: {
        timer: { guard: "purgeDue", actions: "purge" },
        "*": { actions: refuseUnknown },
      },
    },
  },
});
