// PrivateMessages whose ciphertexts are random: to a back-end in `ordering` tracking they are as good as
// real ones (RFC 9420 §6.3), and cost nothing to make. Not for members.
import { randomBytes } from "node:crypto";

const CONTENT = { application: 1, proposal: 2, commit: 3 } as const;

export function opaqueMessage(groupId: Uint8Array, epoch: bigint, content: keyof typeof CONTENT): Uint8Array {
  const epochBytes = Buffer.alloc(8);
  epochBytes.writeBigUInt64BE(epoch);
  return Buffer.concat([
    Uint8Array.of(0, 1, 0, 2), // mls10, mls_private_message
    vector(groupId),
    epochBytes,
    Uint8Array.of(CONTENT[content]),
    vector(new Uint8Array(0)),
    vector(randomBytes(28)),
    vector(randomBytes(48)),
  ]);
}

/** Lengths here stay below 64: one byte of header. */
function vector(bytes: Uint8Array): Uint8Array {
  if (bytes.length >= 64) throw new Error("a length of one byte only");
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}
