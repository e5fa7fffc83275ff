// Transcript hashes (RFC 9420 §8.2).
import { Writer } from "../codec/writer.ts";
import type { PublicCommit } from "../framing.ts";
import { WIRE_FORMAT } from "../registries.ts";
import { hash, type Ciphersuite } from "../suites.ts";

/** Of the epoch that the commit begins. */
export function confirmedTranscriptHash(
  ciphersuite: Ciphersuite,
  interimHashBefore: Uint8Array,
  commit: Pick<PublicCommit, "content" | "signature">,
): Uint8Array {
  const input = new Writer(interimHashBefore.length + commit.content.length + commit.signature.length + 8)
    .raw(interimHashBefore)
    .u16(WIRE_FORMAT.publicMessage)
    .raw(commit.content)
    .opaque(commit.signature);
  return hash(ciphersuite, input.finish());
}

export function interimTranscriptHash(
  ciphersuite: Ciphersuite,
  confirmedHash: Uint8Array,
  confirmationTag: Uint8Array,
): Uint8Array {
  return hash(ciphersuite, new Writer().raw(confirmedHash).opaque(confirmationTag).finish());
}
