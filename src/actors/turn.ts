// One turn: a command goes into a live machine, its effects come out as store operations and as what
// must leave once they are durable. Synchronous and free of I/O; the host decides when it happens (L2).
import type { AnyActor } from "xstate";
import { decode, encode, encodeStored } from "../protocol/codec.ts";
import type { Refusal } from "../protocol/errors.ts";
import type { ActorKey, Operation, StreamEntry, TagWrite, Timer } from "../store/store.ts";
import type { ActorAddress, Command } from "./actor-port.ts";
import { actorKey } from "./actor-address.ts";
import type { SortedDirectory } from "./directory.ts";
import type { Effect, TurnFacts } from "./effects.ts";

/** What an actor owes another, kept in the sender's shard until the receiver has it (G8). */
export interface OutboxMessage {
  readonly id: string;
  readonly sender: ActorKey;
  readonly lineage: string;
  readonly number: number;
  readonly duty: Duty;
}

export type Duty =
  | { readonly kind: "tell"; readonly to: ActorAddress; readonly command: Command }
  /** To each client of a roster's page. */
  | {
      readonly kind: "tellClients";
      readonly applicationId: string;
      readonly page: Uint8Array;
      readonly command: Command;
    }
  | { readonly kind: "indexTags"; readonly write: TagWrite }
  | { readonly kind: "proposeRemovals"; readonly applicationId: string; readonly groupId: Uint8Array }
  | { readonly kind: "purgeApplication"; readonly applicationId: string };

export interface Turn {
  readonly operations: Operation[];
  readonly reply: object;
  readonly refusal: Refusal | undefined;
  /** Names of the parts taken, in order. */
  readonly takes: readonly string[];
  readonly appended: readonly StreamEntry[];
  readonly outbox: readonly OutboxMessage[];
  readonly timersSet: readonly Timer[];
  readonly timersCleared: readonly string[];
  /** Marks of results that are forgotten by this turn. */
  readonly forgotten: readonly string[];
  /** The machine's state moved, or what its snapshot says beside it. */
  readonly changed: boolean;
}

export interface TurnSubject {
  readonly key: ActorKey;
  readonly address: ActorAddress;
  readonly machine: AnyActor;
  readonly directory: SortedDirectory;
  /** Effects that the machine emits while `send` runs land here. */
  readonly emitted: Effect[];
  outboxNumber: number;
}

/** @throws Error when the machine broke its own rules: a bug that stops this actor (never the process) */
export function takeTurn(subject: TurnSubject, command: Command, facts: TurnFacts): Turn {
  const before = subject.machine.getSnapshot() as { context: unknown; value: unknown; status: string };
  subject.emitted.length = 0;
  subject.machine.send({ ...command, ...facts });
  const after = subject.machine.getSnapshot() as { context: unknown; value: unknown; status: string; error?: unknown };
  if (after.status === "error") throw new Error(`machine ${subject.address.kind} failed`, { cause: after.error });
  const turn = new TurnBuilder(subject, facts);
  for (const effect of subject.emitted) turn.apply(effect);
  return turn.finish(before.context !== after.context || before.value !== after.value);
}

class TurnBuilder {
  readonly #subject: TurnSubject;
  readonly #facts: TurnFacts;
  readonly #operations: Operation[] = [];
  readonly #takes: string[] = [];
  readonly #appended: StreamEntry[] = [];
  readonly #outbox: OutboxMessage[] = [];
  readonly #timersSet: Timer[] = [];
  readonly #timersCleared: string[] = [];
  readonly #forgotten: string[] = [];
  #reply: object | undefined;
  #refusal: Refusal | undefined;

  constructor(subject: TurnSubject, facts: TurnFacts) {
    this.#subject = subject;
    this.#facts = facts;
  }

  // eslint-disable-next-line max-lines-per-function -- the closed list of effects, one case each
  apply(effect: Effect): void {
    const actor = this.#subject.key;
    switch (effect.type) {
      case "reply":
        this.#assertUnanswered();
        this.#reply = effect.value;
        return;
      case "refuse":
        this.#assertUnanswered();
        this.#refusal = effect.refusal;
        return;
      case "putPart":
        this.#operations.push({ op: "putPart", actor, name: effect.name, bytes: effect.bytes });
        this.#subject.directory.add(effect.name);
        return;
      case "deletePart":
        this.#operations.push({ op: "deletePart", actor, name: effect.name });
        this.#subject.directory.delete(effect.name);
        return;
      case "takePart":
        this.#operations.push({ op: "takePart", actor, name: effect.name, keep: effect.keep === true });
        if (effect.keep !== true) this.#subject.directory.delete(effect.name);
        this.#takes.push(effect.name);
        return;
      case "putMark":
        this.#operations.push({
          op: "putMark",
          actor,
          name: effect.name,
          bytes: effect.bytes ?? EMPTY,
          expiresAt: effect.expiresAt,
        });
        return;
      case "deleteMark":
        this.#operations.push({ op: "deleteMark", actor, name: effect.name });
        return;
      case "append":
        this.#append(effect.offset, effect.event, effect.body);
        return;
      case "trim":
        this.#operations.push({ op: "trim", actor, before: effect.before });
        return;
      case "purge":
        this.#operations.push({ op: "purge", actor });
        this.#subject.directory.clear();
        return;
      case "forget":
        this.#forgotten.push(resultMark(effect.key));
        this.#operations.push({ op: "deleteMark", actor, name: resultMark(effect.key) });
        return;
      case "setTimer":
        this.#timersSet.push({ actor, name: effect.name, at: effect.at });
        this.#operations.push({ op: "putTimer", actor, name: effect.name, at: effect.at });
        return;
      case "clearTimer":
        this.#timersCleared.push(effect.name);
        this.#operations.push({ op: "deleteTimer", actor, name: effect.name });
        return;
      case "tell":
        this.#owe({ kind: "tell", to: effect.to, command: effect.command });
        return;
      case "tellClients": {
        const { applicationId } = this.#subject.address;
        this.#owe({ kind: "tellClients", applicationId, page: effect.page, command: effect.command });
        return;
      }
      case "indexTags":
        this.#owe({
          kind: "indexTags",
          write: {
            applicationId: this.#subject.address.applicationId,
            clientId: effect.clientId,
            version: effect.version,
            tags: effect.tags,
            removed: effect.removed,
          },
        });
        return;
      case "proposeRemovals": {
        const { applicationId } = this.#subject.address;
        this.#owe({ kind: "proposeRemovals", applicationId, groupId: effect.groupId });
        return;
      }
      case "purgeApplication":
        this.#owe({ kind: "purgeApplication", applicationId: effect.applicationId });
    }
  }

  finish(changed: boolean): Turn {
    const bytes = this.#operations.reduce((sum, operation) => sum + bytesOf(operation), 0);
    if (this.#operations.length > TURN_OPERATIONS_MAX || bytes > TURN_BYTES_MAX) {
      throw new Error("a turn wants more than one batch can hold");
    }
    if (this.#refusal !== undefined && (changed || this.#operations.length > 0)) {
      throw new Error("a refused turn must change nothing");
    }
    return {
      operations: this.#operations,
      reply: this.#reply ?? {},
      refusal: this.#refusal,
      takes: this.#takes,
      appended: this.#appended,
      outbox: this.#outbox,
      timersSet: this.#timersSet,
      timersCleared: this.#timersCleared,
      forgotten: this.#forgotten,
      changed: changed || this.#outbox.length > 0,
    };
  }

  #append(offset: number, event: string, body: object): void {
    const entry = { offset, time: this.#facts.now, type: event, body: encode(body) };
    this.#appended.push(entry);
    this.#operations.push({ op: "append", actor: this.#subject.key, entry });
  }

  #owe(duty: Duty): void {
    this.#subject.outboxNumber += 1;
    const number = this.#subject.outboxNumber;
    const message: OutboxMessage = {
      id: `${this.#subject.key}/${String(number).padStart(16, "0")}`,
      sender: this.#subject.key,
      lineage: this.#facts.lineage,
      number,
      duty,
    };
    this.#outbox.push(message);
    this.#operations.push({ op: "putOutbox", id: message.id, bytes: encodeStored(message) });
  }

  #assertUnanswered(): void {
    if (this.#reply !== undefined || this.#refusal !== undefined) throw new Error("a turn answers once");
  }
}

export function decodeOutboxMessage(bytes: Uint8Array): OutboxMessage {
  return decode(bytes) as OutboxMessage;
}

const EMPTY = new Uint8Array(0);

/** More in one turn is a bug: no store takes the batch, and its shard would be lost again with every retry. */
export const TURN_OPERATIONS_MAX = 65_536;
export const TURN_BYTES_MAX = 44 * 1024 * 1024;

/** What an operation counts in a batch: its bytes and something for itself. */
export function bytesOf(operation: Operation): number {
  if (operation.op === "append") return operation.entry.body.length + 64;
  return "bytes" in operation ? operation.bytes.length + 64 : 64;
}

/** Mark under which the result of an idempotency key is remembered at its home actor. Names are ASCII, keys are not. */
export function resultMark(key: string): string {
  return `r/${Buffer.from(key, "utf8").toString("base64url")}`;
}

/** Mark that holds the highest outbox number applied from one sender in one lineage. */
export function receivedMark(sender: ActorKey, lineage: string): string {
  return `h/${lineage}/${sender}`;
}

/** Where a duty goes: messages to one receiver keep their order. */
export function receiverOf({ duty, number }: Pick<OutboxMessage, "duty" | "number">): string {
  switch (duty.kind) {
    case "tell":
      return actorKey(duty.to);
    case "tellClients":
      // Each page by itself: a client that can't be told keeps nobody in another page waiting.
      return `clients/${String(number)}`;
    case "indexTags":
      return `tags/${duty.write.clientId}`;
    case "proposeRemovals":
      return "removals";
    case "purgeApplication":
      return `purge/${duty.applicationId}`;
  }
}
