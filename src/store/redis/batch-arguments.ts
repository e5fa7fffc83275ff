// Lays a batch out as the commit script takes it (lua/commit.lua): keys, words, bytes.
// Must never hand out words that a later batch overwrites: a script may be sent again.
import { Packr } from "msgpackr";
import { LENGTH_BYTES } from "../chunks.ts";
import { ONCE_PREFIX } from "../operation-rules.ts";
import type { ActorKey, Operation, Shard } from "../store.ts";
import type { RedisKeys } from "./keys.ts";

export interface BatchArguments {
  readonly keys: readonly string[];
  /** A msgpack array. */
  readonly words: Uint8Array;
  readonly bytes: readonly Uint8Array[];
}

type Word = string | number;

// Whole numbers beyond 32 bits become floats, which is what Lua has for any number.
const packer = new Packr({ useRecords: false });
/** Of the script's arguments: what the first of `bytes` has behind fence number, nonce, sequence, digest and words. */
const BYTES_BEGIN = 6;

/** When the mark ends, and how long its bytes are. */
const MARK_HEAD_BYTES = 8 + LENGTH_BYTES;

export function batchArguments(keys: RedisKeys, shard: Shard, operations: readonly Operation[]): BatchArguments {
  const builder = new BatchBuilder(keys, shard);
  for (const operation of operations) builder.add(operation);
  builder.addUsersOfOnce();
  return { keys: builder.keys, words: packer.pack(builder.words), bytes: builder.bytes };
}

class BatchBuilder {
  readonly keys: string[];
  readonly words: Word[] = [];
  readonly bytes: Uint8Array[] = [];
  readonly #names: RedisKeys;
  readonly #shard: Shard;
  readonly #indexOfKey = new Map<string, number>();
  readonly #usersOfOnce = new Set<ActorKey>();

  constructor(names: RedisKeys, shard: Shard) {
    this.#names = names;
    this.#shard = shard;
    this.keys = [names.own(shard)];
  }

  add(operation: Operation): void {
    switch (operation.op) {
      case "putSnapshot":
        this.words.push("S", this.#actor(operation.actor), this.#bytes(operation.bytes));
        break;
      case "putPart":
        this.words.push("P", ...this.#part(operation), this.#bytes(operation.bytes));
        if (operation.name.startsWith(ONCE_PREFIX)) this.#usersOfOnce.add(operation.actor);
        break;
      case "deletePart":
        this.words.push("D", ...this.#part(operation));
        break;
      case "takePart":
        this.words.push(operation.keep === true ? "K" : "T", ...this.#part(operation));
        break;
      case "append": {
        const { offset, time, type, body } = operation.entry;
        const { actor } = operation;
        this.words.push("A", this.#actor(actor), this.#stream(actor), offset, time, type, this.#bytes(body));
        break;
      }
      case "trim":
        this.words.push("R", this.#actor(operation.actor), this.#stream(operation.actor), operation.before);
        break;
      case "purge": {
        const { actor } = operation;
        this.words.push("X", this.#actor(actor), this.#parts(actor), this.#partNames(actor), this.#stream(actor));
        break;
      }
      case "putMark":
        this.#putMark(operation);
        break;
      case "deleteMark":
        this.words.push("m", this.#index(this.#names.mark(this.#shard, operation.actor, operation.name)));
        break;
      case "putOutbox":
        this.words.push("O", ...this.#outbox(), operation.id, this.#bytes(operation.bytes));
        break;
      case "deleteOutbox":
        this.words.push("o", ...this.#outbox(), operation.id);
        break;
      case "putTimer":
        this.words.push("I", this.#timers(), operation.actor, operation.name, operation.at);
        break;
      case "deleteTimer":
        this.words.push("i", this.#timers(), operation.actor, operation.name);
        break;
    }
  }

  /** Where a new lineage finds whose parts are to be destroyed. */
  addUsersOfOnce(): void {
    for (const actor of this.#usersOfOnce) this.words.push("U", this.#index(this.#names.once(this.#shard)), actor);
  }

  #putMark(operation: Extract<Operation, { readonly op: "putMark" }>): void {
    const { actor, name, bytes, expiresAt } = operation;
    const takes = operation.takes ?? [];
    // The first of its chunks; the script puts the parts taken behind it.
    const value = Buffer.allocUnsafe(MARK_HEAD_BYTES + bytes.length);
    value.writeDoubleBE(expiresAt);
    value.writeUInt32BE(bytes.length, MARK_HEAD_BYTES - LENGTH_BYTES);
    value.set(bytes, MARK_HEAD_BYTES);
    // Redis takes no expiry at 0; both are long past.
    this.words.push("M", this.#index(this.#names.mark(this.#shard, actor, name)), Math.max(1, expiresAt));
    this.words.push(this.#bytes(value), takes.length);
    for (const take of takes) this.words.push(this.#parts(actor), take);
  }

  #part({ actor, name }: { readonly actor: ActorKey; readonly name: string }): Word[] {
    return [this.#parts(actor), this.#partNames(actor), name];
  }

  #outbox(): Word[] {
    return [this.#index(this.#names.outboxIds(this.#shard)), this.#index(this.#names.outbox(this.#shard))];
  }

  #timers(): number {
    return this.#index(this.#names.timers(this.#shard));
  }

  #bytes(bytes: Uint8Array): number {
    return BYTES_BEGIN - 1 + this.bytes.push(bytes);
  }

  #actor(actor: ActorKey): number {
    return this.#index(this.#names.actor(this.#shard, actor));
  }

  #parts(actor: ActorKey): number {
    return this.#index(this.#names.parts(this.#shard, actor));
  }

  #partNames(actor: ActorKey): number {
    return this.#index(this.#names.names(this.#shard, actor));
  }

  #stream(actor: ActorKey): number {
    return this.#index(this.#names.stream(this.#shard, actor));
  }

  /** The script counts KEYS from 1 and takes one index for one key. */
  #index(key: string): number {
    let index = this.#indexOfKey.get(key);
    if (index === undefined) {
      index = this.keys.push(key);
      this.#indexOfKey.set(key, index);
    }
    return index;
  }
}
