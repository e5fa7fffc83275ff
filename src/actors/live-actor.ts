// One actor while its owner holds it: the machine, its mailbox and what it remembers of calls whose
// writes are not durable yet. Knows nothing of batches being sent; never talks to the store.
import { createActor, type AnyActor, type Snapshot } from "xstate";
import type { ActorKey, LoadedActor, Mark } from "../store/store.ts";
import { parseActorKey } from "./actor-address.ts";
import type { ActorAddress, Call, Outcome } from "./actor-port.ts";
import { SortedDirectory } from "./directory.ts";
import type { Effect } from "./effects.ts";
import type { SnapshotVersions } from "./host-options.ts";
import type { MachineEntry } from "./machine-catalogue.ts";
import { decodeEnvelope, encodeEnvelope, persistedOf, snapshotOf } from "./snapshot.ts";
import type { TurnSubject } from "./turn.ts";

/** A call on its way through the mailbox. */
export interface MailboxEntry {
  readonly call: Call;
  /** Set for durable timers: the timer is cleared unless the turn sets it again. */
  readonly timer?: string;
  /** Where it is remembered: as a result, or as a number of its sender. Undefined: nowhere. */
  readonly mark: string | undefined;
  /** What is stored there before the turn. */
  readonly remembered: Promise<Mark | undefined>;
  /** `queued` calls were certainly not applied; `turned` ones may have been. */
  phase: "queued" | "turned" | "settled";
  settle(outcome: Outcome): void;
}

export interface RecentResult {
  readonly digest: string;
  readonly outcome: Promise<Outcome>;
  /** Set once it is durable: calls that arrived later find it in the store; those up to this one may not. */
  forgetAfter?: number;
}

export interface RecentNumber {
  readonly number: number;
  forgetAfter?: number;
}

/** An actor as it was before a turn. */
export interface Checkpoint {
  readonly snapshot: Snapshot<unknown>;
  readonly outboxNumber: number;
}

/** A snapshot written by a newer machine: this node must not touch it (F23). */
export class SnapshotTooNew extends Error {
  override readonly name = "SnapshotTooNew";
  readonly versions: SnapshotVersions;

  constructor(versions: SnapshotVersions) {
    super(`snapshot version ${versions.written} where ${versions.known} is the newest known`);
    this.versions = versions;
  }
}

export class LiveActor implements TurnSubject {
  readonly key: ActorKey;
  readonly address: ActorAddress;
  readonly emitted: Effect[] = [];
  readonly mailbox: MailboxEntry[] = [];
  /** Results by mark name, from their turn until no call that might have missed them is left. */
  readonly recent = new Map<string, RecentResult>();
  /** The same for outbox numbers, by the sender's mark. */
  readonly received = new Map<string, RecentNumber>();
  /** Calls ever put into the mailbox, and those that have left it: both only grow. */
  arrived = 0;
  handled = 0;
  /** Turns whose batch is not durable yet. */
  unsettled = 0;
  outboxNumber = 0;
  pumping = false;
  stopped = false;
  /** A turn broke the machine: nothing more runs here, and it goes once its turns before are durable. */
  failed = false;
  lastUsedMs = 0;
  /** Store milliseconds until which a result may be stored; undefined: nobody has said. */
  resultsUntil: number | undefined = 0;
  /** The same of results that were stored before it was loaded here. */
  earlierResultsUntil = 0;
  #machine: AnyActor | undefined;
  #directory: SortedDirectory | undefined;
  #lineage = "";
  #before: Snapshot<unknown> | undefined;
  readonly #entry: MachineEntry;

  constructor(key: ActorKey, entry: MachineEntry) {
    this.key = key;
    this.address = parseActorKey(key);
    this.#entry = entry;
  }

  get loaded(): boolean {
    return this.#machine !== undefined;
  }

  get machine(): AnyActor {
    if (this.#machine === undefined) throw new Error("the actor is not loaded");
    return this.#machine;
  }

  get directory(): SortedDirectory {
    if (this.#directory === undefined) throw new Error("the actor is not loaded");
    return this.#directory;
  }

  get idle(): boolean {
    return this.mailbox.length === 0 && this.unsettled === 0;
  }

  /** @throws SnapshotTooNew, or Error when the snapshot can't be read */
  start(stored: LoadedActor, lineage: string): void {
    const envelope = stored.snapshot === undefined ? undefined : decodeEnvelope(stored.snapshot);
    if (envelope !== undefined && envelope.machineVersion > this.#entry.version) {
      throw new SnapshotTooNew({ written: envelope.machineVersion, known: this.#entry.version });
    }
    const options = { input: { applicationId: this.address.applicationId, id: this.address.id } };
    const machine = createActor(
      this.#entry.machine,
      envelope === undefined ? options : { ...options, snapshot: snapshotOf(envelope.state) },
    );
    machine.on("*", (effect) => {
      this.emitted.push(effect as Effect);
    });
    // A bug inside a machine shows as its status, which the turn checks; without an observer XState
    // would throw it again on the next tick and end the process.
    machine.subscribe({ error: () => undefined });
    machine.start();
    this.outboxNumber = envelope?.outboxNumber ?? 0;
    this.resultsUntil = envelope === undefined ? 0 : envelope.resultsUntil;
    this.earlierResultsUntil = this.resultsUntil ?? Number.POSITIVE_INFINITY;
    this.#lineage = lineage;
    this.#directory = new SortedDirectory(this.#entry.directoryPrefixes, stored.names);
    this.#machine = machine;
  }

  checkpoint(): Checkpoint {
    return { snapshot: this.machine.getSnapshot() as Snapshot<unknown>, outboxNumber: this.outboxNumber };
  }

  /** What is stored from now on is the state before the turn that broke the machine. */
  fail({ snapshot, outboxNumber }: Checkpoint): void {
    this.failed = true;
    this.#before = snapshot;
    this.outboxNumber = outboxNumber;
  }

  encodeSnapshot(): Uint8Array {
    return encodeEnvelope({
      machineVersion: this.#entry.version,
      state: persistedOf(this.#before ?? (this.machine.getSnapshot() as Snapshot<unknown>)),
      outboxNumber: this.outboxNumber,
      lineage: this.#lineage,
      resultsUntil: this.resultsUntil,
    });
  }

  stop(): void {
    this.stopped = true;
    this.#machine?.stop();
  }

  /** Lets go of what every call that is still to come finds in the store (L6). */
  forgetSettled(): void {
    if (this.recent.size > 0) forgetUpTo(this.handled, this.recent);
    if (this.received.size > 0) forgetUpTo(this.handled, this.received);
  }
}

/** Turns become durable in their order, so the first that must stay keeps all behind it. */
function forgetUpTo(handled: number, remembered: Map<string, { readonly forgetAfter?: number }>): void {
  for (const [name, { forgetAfter }] of remembered) {
    if (forgetAfter === undefined || forgetAfter > handled) return;
    remembered.delete(name);
  }
}
