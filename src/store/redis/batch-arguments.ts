// Lays a batch out as the commit script's flat keys and arguments (lua/commit.lua). Pure.
import { packChunks } from "../chunks.ts";
import type { ActorKey, Operation, Shard } from "../store.ts";
import type { Argument } from "./connection.ts";
import { type RedisKeys, timerMember } from "./keys.ts";

export interface BatchArguments {
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
}

export function batchArguments(keys: RedisKeys, shard: Shard, operations: readonly Operation[]): BatchArguments {
  const builder = new BatchBuilder(keys, shard);
  for (const operation of operations) builder.add(operation);
  return { keys: builder.keys, args: builder.args };
}

class BatchBuilder {
  readonly keys: string[];
  readonly args: Argument[] = [];
  readonly #names: RedisKeys;
  readonly #shard: Shard;
  readonly #indexOfKey = new Map<string, number>();

  constructor(names: RedisKeys, shard: Shard) {
    this.#names = names;
    this.#shard = shard;
    this.keys = [names.own(shard), names.outboxIds(shard), names.outbox(shard), names.timers(shard), names.once(shard)];
  }

  add(operation: Operation): void {
    switch (operation.op) {
      case "putSnapshot":
        this.args.push("S", this.#actor(operation.actor), operation.bytes);
        break;
      case "putPart":
        this.args.push("P", ...this.#part(operation), operation.bytes, operation.actor);
        break;
      case "deletePart":
        this.args.push("D", ...this.#part(operation));
        break;
      case "takePart":
        this.args.push(operation.keep === true ? "K" : "T", ...this.#part(operation));
        break;
      case "append": {
        const { offset, time, type, body } = operation.entry;
        this.args.push("A", this.#actor(operation.actor), this.#stream(operation.actor), offset, time, type, body);
        break;
      }
      case "trim":
        this.args.push("R", this.#actor(operation.actor), this.#stream(operation.actor), operation.before);
        break;
      case "purge": {
        const { actor } = operation;
        this.args.push("X", this.#actor(actor), this.#parts(actor), this.#partNames(actor), this.#stream(actor));
        break;
      }
      case "putMark":
        this.#putMark(operation);
        break;
      case "deleteMark":
        this.args.push("m", this.#index(this.#names.mark(this.#shard, operation.actor, operation.name)));
        break;
      case "putOutbox":
        this.args.push("O", operation.id, operation.bytes);
        break;
      case "deleteOutbox":
        this.args.push("o", operation.id);
        break;
      case "putTimer":
        this.args.push("I", timerMember(operation.actor, operation.name), operation.at);
        break;
      case "deleteTimer":
        this.args.push("i", timerMember(operation.actor, operation.name));
        break;
    }
  }

  #putMark(operation: Extract<Operation, { readonly op: "putMark" }>): void {
    const { actor, name, bytes, expiresAt } = operation;
    const takes = operation.takes ?? [];
    const time = Buffer.alloc(8);
    time.writeDoubleBE(expiresAt);
    const value = Buffer.concat([time, packChunks([bytes])]);
    // Redis takes no expiry at 0; both are long past.
    this.args.push("M", this.#index(this.#names.mark(this.#shard, actor, name)), Math.max(1, expiresAt), value);
    this.args.push(takes.length);
    for (const take of takes) this.args.push(this.#parts(actor), take);
  }

  #part({ actor, name }: { readonly actor: ActorKey; readonly name: string }): Argument[] {
    return [this.#parts(actor), this.#partNames(actor), name];
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
