// One shard of the simulation's store: owner, batches and what they leave behind, in memory. Every function runs to
// its end at once, so each is atomic; it judges a whole batch before it writes anything (P1).
import { fenceHolds, holdStands, judgeSequence } from "../../src/store/batch-judgement.ts";
import { NO_SABOTAGE, type SabotageSwitches } from "../../src/store/sabotage.ts";
import type {
  ActorKey,
  Claimant,
  ClaimOutcome,
  CommitOutcome,
  Fence,
  Hold,
  Mark,
  Operation,
  OutboxEntry,
  OwnerRecord,
  Receipt,
  StreamEntry,
  StreamHead,
  Timer,
} from "../../src/store/store.ts";

interface StoredActor {
  snapshot: Uint8Array | undefined;
  readonly parts: Map<string, Uint8Array>;
  readonly marks: Map<string, Mark>;
  readonly timers: Map<string, number>;
  entries: StreamEntry[];
  first: number;
  last: number;
  purged: boolean;
}

export interface SimBatch {
  readonly fence: Fence;
  readonly sequence: number;
  readonly digest: string;
  readonly operations: readonly Operation[];
}

export class SimShard {
  owner: OwnerRecord | undefined;
  #receipt: Receipt | undefined;
  readonly #actors = new Map<ActorKey, StoredActor>();
  readonly #outbox = new Map<string, Uint8Array>();

  /** As it is now, for a replica that hears nothing more. */
  copy(): SimShard {
    const copy = new SimShard();
    copy.owner = this.owner;
    copy.#receipt = this.#receipt;
    for (const [actor, stored] of this.#actors) {
      const { parts, marks, timers, entries } = stored;
      copy.#actors.set(actor, {
        ...stored,
        parts: new Map(parts),
        marks: new Map(marks),
        timers: new Map(timers),
        entries: [...entries],
      });
    }
    for (const [id, bytes] of this.#outbox) copy.#outbox.set(id, bytes);
    return copy;
  }

  claim(seen: Fence | undefined, claimant: Claimant): ClaimOutcome {
    const stored = this.owner;
    const { nonce, owner, address, freshLineage } = claimant;
    if (stored?.fence.nonce !== nonce) {
      const isSeen = stored === undefined ? seen === undefined : seen !== undefined && this.holds(seen);
      if (!isSeen) return { kind: "lost", record: stored };
      this.owner = {
        lineage: stored?.lineage ?? freshLineage,
        sequence: stored?.sequence ?? 0,
        digest: stored?.digest ?? "",
        fence: { number: (stored?.fence.number ?? 0) + 1, nonce },
        owner,
        address,
      };
      // No record but parts: their history is lost (P11).
      if (stored === undefined) this.#destroyOnceParts();
    }
    return { kind: "claimed", record: this.owner as OwnerRecord, receipt: copyReceipt(this.#receipt) };
  }

  holds(hold: Hold, sabotage: SabotageSwitches = NO_SABOTAGE): boolean {
    return holdStands(this.owner, hold, sabotage);
  }

  renewLineage(owner: OwnerRecord, lineage: string, beyond: number): { lineage: string; fence: Fence } {
    const fence = { number: Math.max(owner.fence.number, beyond + 1), nonce: owner.fence.nonce };
    this.#destroyOnceParts();
    this.owner = { ...owner, lineage, fence };
    return { lineage, fence };
  }

  commit({ fence, sequence, digest, operations }: SimBatch, sabotage: SabotageSwitches): CommitOutcome {
    const { owner } = this;
    if (owner === undefined || !fenceHolds(owner, fence, sabotage)) return { kind: "fenced" };
    const answer = judgeSequence(owner, copyReceipt(this.#receipt), { sequence, digest }, sabotage);
    if (answer !== undefined) return answer;
    const flaw = this.#flawOf(operations);
    if (flaw !== undefined) return { kind: "invalid", reason: flaw };
    const receipt = { sequence, taken: this.#apply(operations) };
    this.#receipt = sabotage.has("receiptsNotStored") ? { sequence, taken: [] } : receipt;
    this.owner = { ...owner, sequence, digest };
    return { kind: "applied", receipt: copyReceipt(receipt) as Receipt, repeated: false };
  }

  snapshotOf(actor: ActorKey): Uint8Array | undefined {
    return copied(this.#actors.get(actor)?.snapshot);
  }

  part(actor: ActorKey, name: string): Uint8Array | undefined {
    return copied(this.#actors.get(actor)?.parts.get(name));
  }

  /** In byte order. */
  partNames(actor: ActorKey, prefix: string): string[] {
    return [...(this.#actors.get(actor)?.parts.keys() ?? [])].filter((name) => name.startsWith(prefix)).sort();
  }

  mark(actor: ActorKey, name: string, nowMs: number): Mark | undefined {
    const mark = this.#actors.get(actor)?.marks.get(name);
    if (mark === undefined || mark.expiresAt <= nowMs) return undefined;
    return { ...mark, bytes: new Uint8Array(mark.bytes), taken: mark.taken.map((bytes) => new Uint8Array(bytes)) };
  }

  outbox(after: string, limit: number): OutboxEntry[] {
    const ids = [...this.#outbox.keys()].filter((id) => id > after).sort();
    return ids.slice(0, limit).map((id) => ({ id, bytes: new Uint8Array(this.#outbox.get(id) ?? []) }));
  }

  timers(limit: number): Timer[] {
    const timers: Timer[] = [];
    for (const [actor, stored] of this.#actors)
      for (const [name, at] of stored.timers) timers.push({ actor, name, at });
    return timers
      .sort((a, b) => a.at - b.at || order(`${a.actor}\0${a.name}`, `${b.actor}\0${b.name}`))
      .slice(0, limit);
  }

  head(actor: ActorKey): StreamHead {
    const { first, last, purged } = this.#actors.get(actor) ?? { first: 1, last: 0, purged: false };
    return purged ? { first, last, purged } : { first, last };
  }

  stream(actor: ActorKey, after: number, limit: number, bytesMax: number): StreamEntry[] {
    const found: StreamEntry[] = [];
    let bytes = 0;
    for (const entry of this.#actors.get(actor)?.entries ?? []) {
      if (entry.offset <= after) continue;
      bytes += entry.body.length;
      if (found.length >= limit || (found.length > 0 && bytes > bytesMax)) break;
      found.push({ ...entry, body: new Uint8Array(entry.body) });
    }
    return found;
  }

  actors(): ActorKey[] {
    return [...this.#actors.keys()];
  }

  forget(actor: ActorKey): void {
    this.#actors.delete(actor);
  }

  #destroyOnceParts(): void {
    for (const { parts } of this.#actors.values()) {
      for (const name of [...parts.keys()]) if (name.startsWith("once/")) parts.delete(name);
    }
  }

  #stored(actor: ActorKey): StoredActor {
    let stored = this.#actors.get(actor);
    if (stored === undefined) {
      stored = {
        snapshot: undefined,
        parts: new Map(),
        marks: new Map(),
        timers: new Map(),
        entries: [],
        first: 1,
        last: 0,
        purged: false,
      };
      this.#actors.set(actor, stored);
    }
    return stored;
  }

  /** Why the batch can't be applied to what is stored, or undefined. Reads only. */
  #flawOf(operations: readonly Operation[]): string | undefined {
    const parts = new Map<string, boolean>();
    const taken = new Set<string>();
    const purged = new Set<ActorKey>();
    const lasts = new Map<ActorKey, number>();
    const isPresent = (actor: ActorKey, name: string): boolean =>
      parts.get(`${actor}\0${name}`) ?? (!purged.has(actor) && this.#actors.get(actor)?.parts.has(name) === true);
    for (const operation of operations) {
      if (operation.op === "putPart" || operation.op === "deletePart") {
        parts.set(`${operation.actor}\0${operation.name}`, operation.op === "putPart");
      } else if (operation.op === "takePart") {
        const { actor, name, keep } = operation;
        if (!isPresent(actor, name)) return "no such part";
        if (keep !== true) parts.set(`${actor}\0${name}`, false);
        taken.add(`${actor}\0${name}`);
      } else if (operation.op === "append") {
        const last = lasts.get(operation.actor) ?? this.head(operation.actor).last;
        if (operation.entry.offset !== last + 1) return `the next offset is ${String(last + 1)}`;
        lasts.set(operation.actor, last + 1);
      } else if (operation.op === "purge") {
        purged.add(operation.actor);
        for (const id of [...parts.keys()]) if (id.startsWith(`${operation.actor}\0`)) parts.delete(id);
      } else if (operation.op === "putMark") {
        const { actor, takes = [] } = operation;
        if (!takes.every((name) => taken.has(`${actor}\0${name}`))) return "names a part that was not taken";
      }
    }
    return undefined;
  }

  #apply(operations: readonly Operation[]): Uint8Array[] {
    const taken: Uint8Array[] = [];
    const takenById = new Map<string, Uint8Array>();
    for (const operation of operations) {
      if (operation.op === "putOutbox") this.#outbox.set(operation.id, new Uint8Array(operation.bytes));
      else if (operation.op === "deleteOutbox") this.#outbox.delete(operation.id);
      else if (operation.op === "takePart") {
        const { parts } = this.#stored(operation.actor);
        const bytes = parts.get(operation.name) as Uint8Array;
        taken.push(bytes);
        takenById.set(`${operation.actor}\0${operation.name}`, bytes);
        if (operation.keep !== true) parts.delete(operation.name);
      } else applyToActor(this.#stored(operation.actor), operation, takenById);
    }
    return taken;
  }
}

type ActorOperation = Exclude<Operation, { readonly op: "putOutbox" | "deleteOutbox" | "takePart" }>;

function applyToActor(stored: StoredActor, operation: ActorOperation, taken: ReadonlyMap<string, Uint8Array>): void {
  switch (operation.op) {
    case "putSnapshot":
      stored.snapshot = new Uint8Array(operation.bytes);
      return;
    case "putPart":
      stored.parts.set(operation.name, new Uint8Array(operation.bytes));
      return;
    case "deletePart":
      stored.parts.delete(operation.name);
      return;
    case "append":
      stored.entries.push({ ...operation.entry, body: new Uint8Array(operation.entry.body) });
      stored.last = operation.entry.offset;
      stored.purged = false;
      return;
    case "trim":
      trim(stored, operation.before);
      return;
    case "purge":
      stored.parts.clear();
      trim(stored, Number.MAX_SAFE_INTEGER);
      stored.purged = true;
      return;
    case "putMark": {
      const { actor, name, bytes, takes = [], expiresAt } = operation;
      const takenHere = takes.map((part) => taken.get(`${actor}\0${part}`) as Uint8Array);
      stored.marks.set(name, { bytes: new Uint8Array(bytes), taken: takenHere, expiresAt });
      return;
    }
    case "deleteMark":
      stored.marks.delete(operation.name);
      return;
    case "putTimer":
      stored.timers.set(operation.name, operation.at);
      return;
    case "deleteTimer":
      stored.timers.delete(operation.name);
  }
}

/** The head outlives the entries: offsets go on where they were (P6). */
function trim(stored: StoredActor, before: number): void {
  stored.first = Math.max(stored.first, Math.min(before, stored.last + 1));
  stored.entries = stored.entries.filter(({ offset }) => offset >= stored.first);
}

function copied(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : new Uint8Array(bytes);
}

function copyReceipt(receipt: Receipt | undefined): Receipt | undefined {
  return receipt === undefined ? undefined : { ...receipt, taken: receipt.taken.map((bytes) => new Uint8Array(bytes)) };
}

function order(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
