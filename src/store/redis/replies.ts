// Reads the scripts' replies. Pure; what it hands out is a copy. A reply of another shape is a bug.
import { unpackChunks } from "../chunks.ts";
import type {
  NodeRecord,
  ClaimOutcome,
  CommitOutcome,
  Mark,
  OwnerRecord,
  Receipt,
  StreamEntry,
  StreamHead,
  TagEntry,
} from "../store.ts";
import type { Reply } from "./connection.ts";

export function list(reply: Reply | undefined): Reply[] {
  if (!Array.isArray(reply)) throw new Error("redis answered something else than a list");
  return reply;
}

/** A copy: the reply may be a view on a larger read. */
export function bytesOf(reply: Reply | undefined): Uint8Array | undefined {
  return Buffer.isBuffer(reply) ? new Uint8Array(reply) : undefined;
}

export function textOf(reply: Reply | undefined): string {
  return Buffer.isBuffer(reply) ? reply.toString() : "";
}

export function numberOf(reply: Reply | undefined): number {
  return typeof reply === "number" ? reply : Number(textOf(reply));
}

/** `fence nonce owner address lineage sequence digest receipt`; undefined when there is no record. */
export function ownerOf(fields: readonly Reply[]): OwnerRecord | undefined {
  if (!Buffer.isBuffer(fields[0])) return undefined;
  return {
    fence: { number: numberOf(fields[0]), nonce: textOf(fields[1]) },
    owner: textOf(fields[2]),
    address: textOf(fields[3]),
    lineage: textOf(fields[4]),
    sequence: numberOf(fields[5]),
    digest: textOf(fields[6]),
  };
}

function receiptOf(sequence: number, packed: Reply | undefined): Receipt | undefined {
  return Buffer.isBuffer(packed) ? { sequence, taken: unpackChunks(packed) } : undefined;
}

/** Undefined when the script wants the keys of the one-time parts. */
export function claimOutcomeOf(reply: Reply): ClaimOutcome | undefined {
  const [code, ...fields] = list(reply);
  if (code === -1) return undefined;
  const record = ownerOf(fields);
  if (code !== 1 || record === undefined) return { kind: "lost", record };
  return { kind: "claimed", record, receipt: receiptOf(record.sequence, fields[7]) };
}

export function commitOutcomeOf(reply: Reply, sequence: number): CommitOutcome {
  const [code, first, second] = list(reply);
  switch (code) {
    case 1: {
      const receipt = receiptOf(sequence, second) ?? { sequence, taken: [] };
      return { kind: "applied", receipt, repeated: first === 1 };
    }
    case -1:
      return { kind: "fenced" };
    case -2:
      return { kind: "gap", last: numberOf(first) };
    default:
      return { kind: "invalid", reason: `operation ${numberOf(first)}: ${textOf(second)}` };
  }
}

export function markOf(reply: Reply | undefined): Mark | undefined {
  if (!Buffer.isBuffer(reply)) return undefined;
  const [bytes, ...taken] = unpackChunks(reply, 8);
  if (bytes === undefined) throw new Error("a mark is empty");
  return { bytes, taken, expiresAt: reply.readDoubleBE(0) };
}

/** @param purgedAt the newest offset when the actor was purged */
export function headOf(first?: Reply, last?: Reply, purgedAt?: Reply): StreamHead {
  const head = {
    first: Buffer.isBuffer(first) ? numberOf(first) : 1,
    last: Buffer.isBuffer(last) ? numberOf(last) : 0,
  };
  return Buffer.isBuffer(purgedAt) && numberOf(purgedAt) === head.last ? { ...head, purged: true } : head;
}

export function streamOf(reply: Reply): {
  readonly entries: StreamEntry[];
  readonly head: StreamHead;
  readonly lineage: string;
} {
  const [lineage, first, last, purgedAt, ...flat] = list(reply);
  const entries: StreamEntry[] = [];
  for (let at = 0; at < flat.length; at += 4) {
    entries.push({
      offset: numberOf(flat[at]),
      time: numberOf(flat[at + 1]),
      type: textOf(flat[at + 2]),
      body: bytesOf(flat[at + 3]) ?? new Uint8Array(0),
    });
  }
  return { entries, head: headOf(first, last, purgedAt), lineage: textOf(lineage) };
}

export function tagEntriesOf(reply: Reply): TagEntry[] {
  return pairs(list(reply)).map(([clientId, value]) => {
    const text = textOf(value);
    const space = text.indexOf(" ");
    const tags = JSON.parse(text.slice(space + 1)) as string[];
    return { clientId: textOf(clientId), version: Number(text.slice(0, space)), tags };
  });
}

export function pairs(flat: readonly Reply[]): [Reply, Reply][] {
  const found: [Reply, Reply][] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) found.push([flat[at] as Reply, flat[at + 1] as Reply]);
  return found;
}

export function nodesOf(reply: Reply): NodeRecord[] {
  return list(reply).map((record) => JSON.parse(textOf(record)) as NodeRecord);
}
