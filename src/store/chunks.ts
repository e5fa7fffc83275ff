// Packs byte strings one after another, each behind its length; the Lua scripts write the same form.
// Pure; must never hand out a view on what it was given.

export const LENGTH_BYTES = 4;

/** `[uint32 length, bytes]…`, big-endian. */
export function packChunks(chunks: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const chunk of chunks) size += LENGTH_BYTES + chunk.length;
  const packed = new Uint8Array(size);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const chunk of chunks) {
    view.setUint32(at, chunk.length);
    packed.set(chunk, at + LENGTH_BYTES);
    at += LENGTH_BYTES + chunk.length;
  }
  return packed;
}

/** Copies of the chunks from `start` on. Throws on bytes that `packChunks` did not write. */
export function unpackChunks(packed: Uint8Array, start = 0): Uint8Array[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const chunks: Uint8Array[] = [];
  let at = start;
  while (at < packed.length) {
    const length = view.getUint32(at);
    const end = at + LENGTH_BYTES + length;
    if (end > packed.length) throw new Error("a stored value is cut short");
    chunks.push(new Uint8Array(packed.subarray(at + LENGTH_BYTES, end)));
    at = end;
  }
  return chunks;
}
