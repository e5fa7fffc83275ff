// Builds every key in Redis. All keys of a shard carry one hash tag, so that a batch is one slot; a tag's
// entries have their own. A key is spelled nowhere else.
import { createHash } from "node:crypto";
import type { ActorKey, Shard } from "../store.ts";

const PREFIX = /^[A-Za-z0-9][A-Za-z0-9:_.-]{0,63}$/;

export function isPrefix(text: string): boolean {
  return PREFIX.test(text);
}

export class RedisKeys {
  readonly #prefix: string;

  /** @param prefix the deployment's own, for which `isPrefix` holds */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Format, shard count and deployment: what `open-meta` keeps. */
  meta(): string {
    return `${this.#prefix}:{meta}`;
  }

  nodes(): string {
    return `${this.#prefix}:{nodes}`;
  }

  /** Owner, fence, lineage, last batch and its receipt. Has no expiry. */
  own(shard: Shard): string {
    return this.#shard(shard, "own");
  }

  /** Sorted set of outbox ids; their bytes are in `outbox`. */
  outboxIds(shard: Shard): string {
    return this.#shard(shard, "oi");
  }

  outbox(shard: Shard): string {
    return this.#shard(shard, "ob");
  }

  timers(shard: Shard): string {
    return this.#shard(shard, "t");
  }

  /** The actors that may have parts under `once/`: what a new lineage must look through. */
  once(shard: Shard): string {
    return this.#shard(shard, "once");
  }

  /** Hash: snapshot `s`, stream head `f` (first) and `l` (last), and `x`: what `l` was when the actor was purged. */
  actor(shard: Shard, actor: ActorKey): string {
    return this.#shard(shard, `a:${actor}`);
  }

  /** Hash: name to bytes. */
  parts(shard: Shard, actor: ActorKey): string {
    return this.#shard(shard, `p:${actor}`);
  }

  /** Sorted set of the parts' names, in byte order. */
  names(shard: Shard, actor: ActorKey): string {
    return this.#shard(shard, `n:${actor}`);
  }

  stream(shard: Shard, actor: ActorKey): string {
    return this.#shard(shard, `x:${actor}`);
  }

  mark(shard: Shard, actor: ActorKey, name: string): string {
    return this.#shard(shard, `m:${actor}\x00${name}`);
  }

  /** Entries, live clients and tombstones of one tag. The tag is hashed: it may hold any character. */
  tag(applicationId: string, tag: string): { readonly entries: string; readonly live: string; readonly dead: string } {
    const digest = createHash("sha256").update(tag).digest("hex").slice(0, 32);
    const base = `${this.#prefix}:{g:${applicationId}:${digest}}`;
    return { entries: `${base}:e`, live: `${base}:l`, dead: `${base}:d` };
  }

  /** SCAN patterns that find every key of an application but those it shares with others. */
  patternsOf(applicationId: string): string[] {
    return [`${this.#prefix}:{s*}:[apnxm]:${applicationId}/*`, `${this.#prefix}:{g:${applicationId}:*`];
  }

  #shard(shard: Shard, rest: string): string {
    return `${this.#prefix}:{s${shard}}:${rest}`;
  }
}

/** A timer's place in its shard's sorted set, as lua/commit.lua spells it. */
export function timerOfMember(member: string): { readonly actor: ActorKey; readonly name: string } {
  const separator = member.indexOf("\x00");
  return { actor: member.slice(0, separator), name: member.slice(separator + 1) };
}
