// Builds every key of the embedded store. Keys sort as bytes; what belongs together is one range.
// A key is spelled nowhere else.
import type { ActorKey, Shard } from "../store.ts";

export interface KeyRange {
  readonly start: Buffer;
  /** Exclusive. */
  readonly end: Buffer;
}

const SEPARATOR = "\x00";
const AFTER_SEPARATOR = "\x01";

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

function shardText(shard: Shard): string {
  return String.fromCharCode(shard >>> 8, shard & 0xff);
}

/** Eight bytes that sort like the number. */
function numberText(value: number): string {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes.toString("latin1");
}

function numberAt(key: Buffer, at: number): number {
  return Number(key.readBigUInt64BE(at));
}

function tagText(applicationId: string, tag: string): string {
  const bytes = Buffer.from(tag, "utf8");
  return `${applicationId}${SEPARATOR}${String.fromCharCode(bytes.length >>> 8, bytes.length & 0xff)}${bytes.toString("latin1")}`;
}

function range(prefix: string, after?: string): KeyRange {
  const last = prefix.charCodeAt(prefix.length - 1);
  return {
    // A NUL behind the last key seen is the next possible key.
    start: latin1(after === undefined ? prefix : `${prefix}${after}${SEPARATOR}`),
    end: latin1(prefix.slice(0, -1) + String.fromCharCode(last + 1)),
  };
}

export const metaKey = (name: string): Buffer => latin1(`M${name}`);

export const ownerKey = (shard: Shard): Buffer => latin1(`o${shardText(shard)}`);
export const ownersRange = (): KeyRange => range("o");

export const snapshotKey = (shard: Shard, actor: ActorKey): Buffer => latin1(`s${shardText(shard)}${actor}`);

export const partKey = (shard: Shard, actor: ActorKey, name: string): Buffer =>
  latin1(`p${shardText(shard)}${actor}${SEPARATOR}${name}`);
export const partsRange = (shard: Shard, actor: ActorKey): KeyRange =>
  range(`p${shardText(shard)}${actor}${SEPARATOR}`);
/** All parts of a shard whose actor sorts at or above `from`. */
export const shardPartsRange = (shard: Shard, from: ActorKey | undefined): KeyRange => {
  const whole = { start: latin1(`p${shardText(shard)}`), end: latin1(`p${shardText(shard + 1)}`) };
  return from === undefined
    ? whole
    : { start: latin1(`p${shardText(shard)}${from}${AFTER_SEPARATOR}`), end: whole.end };
};
export function partsUnder(shard: Shard, actor: ActorKey, prefix: string, after?: string): KeyRange {
  const base = `p${shardText(shard)}${actor}${SEPARATOR}`;
  const under = range(`${base}${prefix}`);
  if (after === undefined || after < prefix) return under;
  return { start: latin1(`${base}${after}${SEPARATOR}`), end: under.end };
}
export function actorOfPart(key: Buffer): ActorKey {
  return key.toString("latin1", 3, key.indexOf(0, 3));
}
/** The part, mark or timer name at a key's end. */
export function nameOf(key: Buffer): string {
  return key.toString("latin1", key.lastIndexOf(0) + 1);
}

export const headKey = (shard: Shard, actor: ActorKey): Buffer => latin1(`h${shardText(shard)}${actor}`);
export const entryKey = (shard: Shard, actor: ActorKey, offset: number): Buffer =>
  latin1(`e${shardText(shard)}${actor}${SEPARATOR}${numberText(offset)}`);
export const entriesRange = (shard: Shard, actor: ActorKey, from: number, before?: number): KeyRange => ({
  start: entryKey(shard, actor, from),
  end: before === undefined ? latin1(`e${shardText(shard)}${actor}${AFTER_SEPARATOR}`) : entryKey(shard, actor, before),
});
export const offsetOfEntry = (key: Buffer): number => numberAt(key, key.length - 8);

export const markKey = (shard: Shard, actor: ActorKey, name: string): Buffer =>
  latin1(`k${shardText(shard)}${actor}${SEPARATOR}${name}`);

export const outboxKey = (shard: Shard, id: string): Buffer => latin1(`b${shardText(shard)}${SEPARATOR}${id}`);
export const outboxRange = (shard: Shard, after: string): KeyRange =>
  range(`b${shardText(shard)}${SEPARATOR}`, after === "" ? undefined : after);

export const timerKey = (shard: Shard, at: number, actor: ActorKey, name: string): Buffer =>
  latin1(`t${shardText(shard)}${SEPARATOR}${numberText(at)}${actor}${SEPARATOR}${name}`);
export const timersRange = (shard: Shard): KeyRange => range(`t${shardText(shard)}${SEPARATOR}`);
export function timerOf(key: Buffer): { readonly actor: ActorKey; readonly name: string; readonly at: number } {
  const separator = key.indexOf(0, 12);
  return {
    at: numberAt(key, 4),
    actor: key.toString("latin1", 12, separator),
    name: key.toString("latin1", separator + 1),
  };
}
/** Finds a timer's time by its name. */
export const timerNameKey = (shard: Shard, actor: ActorKey, name: string): Buffer =>
  latin1(`n${shardText(shard)}${actor}${SEPARATOR}${name}`);

export const tagKey = (applicationId: string, tag: string, clientId: string): Buffer =>
  latin1(`g${tagText(applicationId, tag)}${SEPARATOR}${clientId}`);
export const tagRange = (applicationId: string, tag: string, after: string): KeyRange =>
  range(`g${tagText(applicationId, tag)}${SEPARATOR}`, after === "" ? undefined : after);
export const tagCountKey = (applicationId: string, tag: string): Buffer => latin1(`c${tagText(applicationId, tag)}`);

export const nodeKey = (nodeId: string): Buffer => latin1(`d${nodeId}`);
export const nodesRange = (): KeyRange => range("d");

/** Orders what expires by when it does. */
export const expiryKey = (at: number, target: Buffer): Buffer =>
  latin1(`x${numberText(at)}${target.toString("latin1")}`);
/** Everything that expires at or before `at`. */
export const expiredRange = (at: number): KeyRange => ({ start: latin1("x"), end: latin1(`x${numberText(at + 1)}`) });
export const expiryTarget = (key: Buffer): Buffer => key.subarray(9);
export const expiryTime = (key: Buffer): number => numberAt(key, 1);

/** The ranges that hold what an application owns in one shard. */
export function applicationRanges(shard: Shard, applicationId: string): KeyRange[] {
  return ["s", "p", "h", "e", "k", "n"].map((kind) => range(`${kind}${shardText(shard)}${applicationId}/`));
}
export function applicationTagRanges(applicationId: string): KeyRange[] {
  return ["g", "c"].map((kind) => range(`${kind}${applicationId}${SEPARATOR}`));
}
