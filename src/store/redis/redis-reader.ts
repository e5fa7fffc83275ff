// The plain reads of the Redis store: any node, no fence (P9). Must never write.
import type { ActorKey, Mark, NodeRecord, Shard, StreamEntry, StreamHead, TagEntry } from "../store.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisAccess } from "./redis-access.ts";
import * as replies from "./replies.ts";

export class RedisReader {
  protected readonly redis: RedisAccess;
  protected readonly keys: RedisKeys;

  constructor(redis: RedisAccess, keys: RedisKeys) {
    this.redis = redis;
    this.keys = keys;
  }

  async time(): Promise<number> {
    const [seconds, micros] = replies.list(await this.redis.commandAt(this.keys.nodes(), "TIME"));
    return replies.numberOf(seconds) * 1000 + Math.floor(replies.numberOf(micros) / 1000);
  }

  async readSnapshots(
    actors: readonly { readonly shard: Shard; readonly actor: ActorKey }[],
  ): Promise<(Uint8Array | undefined)[]> {
    return Promise.all(
      actors.map(async ({ shard, actor }) =>
        replies.bytesOf(await this.redis.command("HGET", this.keys.actor(shard, actor), "s")),
      ),
    );
  }

  async readParts(shard: Shard, actor: ActorKey, names: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    if (names.length === 0) return [];
    const reply = await this.redis.command("HMGET", this.keys.parts(shard, actor), ...names);
    return replies.list(reply).map(replies.bytesOf);
  }

  async listParts(
    shard: Shard,
    actor: ActorKey,
    query: { readonly prefix: string; readonly after?: string; readonly limit: number; readonly namesOnly?: boolean },
  ): Promise<{ readonly name: string; readonly bytes: Uint8Array }[]> {
    const keys = [this.keys.names(shard, actor), this.keys.parts(shard, actor)];
    const [lower, upper] = boundsOf(query.prefix);
    const from = query.after !== undefined && query.after >= query.prefix ? `(${query.after}` : lower;
    const bytesToo = query.namesOnly === true ? 0 : 1;
    const flat = replies.list(await this.redis.script("list-parts", keys, [from, upper, query.limit, bytesToo]));
    return replies.pairs(flat).map(([name, bytes]) => ({
      name: replies.textOf(name),
      bytes: replies.bytesOf(bytes) ?? new Uint8Array(0),
    }));
  }

  async readMarks(shard: Shard, actor: ActorKey, names: readonly string[]): Promise<(Mark | undefined)[]> {
    if (names.length === 0) return [];
    const keys = names.map((name) => this.keys.mark(shard, actor, name));
    return replies.list(await this.redis.commandAt(this.keys.own(shard), "MGET", ...keys)).map(replies.markOf);
  }

  async readStream(
    shard: Shard,
    actor: ActorKey,
    query: { readonly after: number; readonly limit: number; readonly bytesMax: number },
  ): Promise<{ readonly entries: StreamEntry[]; readonly head: StreamHead; readonly lineage: string }> {
    const keys = [this.keys.own(shard), this.keys.actor(shard, actor), this.keys.stream(shard, actor)];
    const args = [query.after, query.limit, query.bytesMax];
    return replies.streamOf(await this.redis.script("read-stream", keys, args));
  }

  async readStreamHead(
    shard: Shard,
    actor: ActorKey,
  ): Promise<{ readonly head: StreamHead; readonly lineage: string }> {
    const { head, lineage } = await this.readStream(shard, actor, { after: 0, limit: 0, bytesMax: 0 });
    return { head, lineage };
  }

  async readTag(applicationId: string, tag: string, after: string, limit: number): Promise<TagEntry[]> {
    const keys = this.keys.tag(applicationId, tag);
    const args = [after === "" ? "-" : `(${after}`, limit];
    return replies.tagEntriesOf(await this.redis.script("read-tag", [keys.entries, keys.live], args));
  }

  async countTag(applicationId: string, tag: string): Promise<number> {
    return replies.numberOf(await this.redis.command("ZCARD", this.keys.tag(applicationId, tag).live));
  }

  async readNodes(): Promise<NodeRecord[]> {
    return replies.nodesOf(await this.redis.command("HVALS", this.keys.nodes()));
  }

  async healthy(): Promise<boolean> {
    try {
      return replies.textOf(await this.redis.commandAt(this.keys.nodes(), "PING")) === "PONG";
    } catch {
      // Whatever it was, the store did not answer.
      return false;
    }
  }
}

/** ZRANGEBYLEX bounds of the ASCII names that begin with a prefix. */
export function boundsOf(prefix: string): [string, string] {
  if (prefix === "") return ["-", "+"];
  const last = prefix.charCodeAt(prefix.length - 1);
  return [`[${prefix}`, `(${prefix.slice(0, -1)}${String.fromCharCode(last + 1)}`];
}
