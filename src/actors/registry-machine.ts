// The operator's registry: the list of applications, and the home of application.create. Each
// application's own actor holds the rest.
import { emit, enqueueActions, setup } from "xstate";
import { encode } from "../protocol/codec.ts";
import type { Settings } from "../protocol/schemas/application.ts";
import type { ActorAddress } from "./actor-port.ts";
import type { ExternalSenderRecord, KeyRecord } from "./application-machine.ts";
import { OPERATOR_APPLICATION } from "./actor-address.ts";
import type { Effect } from "./effects.ts";
import type { MachineInput, WithFacts } from "./machine-types.ts";

export type RegistryCommand =
  | {
      readonly type: "register";
      readonly applicationId: string;
      readonly name: string;
      readonly settings: Settings;
      readonly key: KeyRecord;
      readonly senders: readonly ExternalSenderRecord[];
      /** The first key's whole token, shown once. */
      readonly token: string;
    }
  | { readonly type: "unregister"; readonly applicationId: string };

export const REGISTRY: ActorAddress = { applicationId: OPERATOR_APPLICATION, kind: "registry", id: "applications" };

/** Part under which an application is listed. */
export function applicationPart(applicationId: string): string {
  return `application/${applicationId}`;
}

const { createMachine } = setup({
  types: {
    context: {} as { readonly id: string },
    events: {} as WithFacts<RegistryCommand>,
    emitted: {} as Effect,
    input: {} as MachineInput,
  },
  actions: {
    register: enqueueActions(({ event, enqueue }) => {
      if (event.type !== "register") return;
      const { applicationId, name, settings, key, senders } = event;
      enqueue.emit({
        type: "putPart",
        name: applicationPart(applicationId),
        bytes: encode({ applicationId, name, createdAt: event.now }),
      });
      enqueue.emit({
        type: "tell",
        to: { applicationId, kind: "application", id: applicationId },
        command: { type: "create", name, settings, key, senders } as { type: string },
      });
    }),
    answerKey: emit(({ event }): Effect => {
      if (event.type !== "register") throw new Error("only register is answered with a key");
      const { applicationId, key, token } = event;
      return { type: "reply", value: { applicationId, key: { keyId: key.keyId, secret: token } } };
    }),
    unregister: enqueueActions(({ event, enqueue }) => {
      if (event.type !== "unregister") return;
      const { applicationId } = event;
      enqueue.emit({ type: "deletePart", name: applicationPart(applicationId) });
      enqueue.emit({
        type: "tell",
        to: { applicationId, kind: "application", id: applicationId },
        command: { type: "delete" },
      });
    }),
  },
});

export const registryMachine = createMachine({
  id: "registry",
  context: ({ input }) => ({ id: input.id }),
  initial: "open",
  states: {
    open: {
      on: {
        register: { actions: ["register", "answerKey"] },
        unregister: { actions: "unregister" },
      },
    },
  },
});
