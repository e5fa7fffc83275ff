// Which machine lives behind each kind of actor, its schema version and the parts it decides over.
import type { AnyStateMachine } from "xstate";
import type { ActorKind } from "./actor-port.ts";
import { applicationMachine } from "./application-machine.ts";
import { groupMachine } from "./group-machine.ts";
import { handleMachine } from "./handle-machine.ts";
import { identityMachine } from "./identity-machine.ts";
import { keyPoolMachine } from "./key-pool-machine.ts";
import { registryMachine } from "./registry-machine.ts";

export interface MachineEntry {
  readonly machine: AnyStateMachine;
  /** Version of what its snapshot holds; raise it when its meaning changes. */
  readonly version: number;
  /** Parts under these prefixes are in the turn's directory (names only). */
  readonly directoryPrefixes: readonly string[];
}

export type MachineCatalogue = Readonly<Record<ActorKind, MachineEntry>>;

export const machineCatalogue: MachineCatalogue = {
  registry: { machine: registryMachine, version: 2, directoryPrefixes: [] },
  application: { machine: applicationMachine, version: 2, directoryPrefixes: ["key/", "sender/"] },
  identity: { machine: identityMachine, version: 2, directoryPrefixes: ["group/"] },
  handle: { machine: handleMachine, version: 3, directoryPrefixes: [] },
  keyPool: { machine: keyPoolMachine, version: 3, directoryPrefixes: ["once/", "last/", "out/", "rate/"] },
  group: { machine: groupMachine, version: 6, directoryPrefixes: ["pastTree/", "proposal/", "removal/"] },
};
