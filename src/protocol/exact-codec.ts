// msgpack between the nodes of one deployment: number and bigint, absent and nil stay what they are. For bytes of
// an authenticated peer, and of a stranger's few KiB before the proof; never for what clients send: codec.ts is strict.
import { Packr, Unpackr } from "msgpackr";

const packer = new Packr({ useRecords: false, variableMapSize: true });
const unpacker = new Unpackr({ useRecords: false, mapsAsObjects: true, copyBuffers: true, int64AsType: "bigint" });

export function encodeExactly(value: unknown): Uint8Array {
  // msgpackr's output shares a pool with its neighbours: a copy stands alone.
  return new Uint8Array(packer.pack(value));
}

/** Values that stand back to back. @throws Error when the bytes are something else */
export function decodeExactly(bytes: Uint8Array): unknown[] {
  const values: unknown = unpacker.unpackMultiple(bytes);
  if (!Array.isArray(values)) throw new Error("bytes between nodes are no values");
  return values;
}
