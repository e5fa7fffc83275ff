// The back-end as an external sender (RFC 9420 §12.1.8.1): makes a signature key and signs Remove proposals.
// Proposes nothing else, and keeps no key: the caller gives it each time.
import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { Writer } from "./codec/writer.ts";
import { encodeBasicCredential } from "./credential.ts";
import { encodeExternalSender } from "./extension.ts";
import { encodeMessage } from "./message.ts";
import { MLS_10, PROPOSAL, WIRE_FORMAT } from "./registries.ts";
import { signContent, suiteOf, type Ciphersuite } from "./suites.ts";

export interface ExternalSenderKey {
  /** The ExternalSender struct that groups put into their external_senders. */
  readonly externalSender: Uint8Array;
  /** As the suite encodes it (§5.1.1). */
  readonly publicKey: Uint8Array;
  /** PKCS #8, DER: to be stored sealed. */
  readonly privateKey: Uint8Array;
}

export interface RemoveProposalFields {
  readonly ciphersuite: Ciphersuite;
  readonly privateKey: Uint8Array;
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  /** Index of the sender in the group's external_senders. */
  readonly senderIndex: number;
  /** Leaf index. */
  readonly removed: number;
}

const SENDER_EXTERNAL = 2;
const CONTENT_PROPOSAL = 2;
const CURVES = { p256: "prime256v1", p384: "secp384r1", p521: "secp521r1" } as const;
const UNCOMPRESSED = 4;

/** @param name what stands in the basic credential */
export function generateExternalSender(ciphersuite: Ciphersuite, name: string): ExternalSenderKey {
  const { publicKey, privateKey } = keyPairOf(ciphersuite);
  const encoded = encodePublicKey(publicKey);
  const credential = encodeBasicCredential(new TextEncoder().encode(name));
  return {
    externalSender: encodeExternalSender({ signatureKey: encoded, credential }),
    publicKey: encoded,
    privateKey: Uint8Array.from(privateKey.export({ type: "pkcs8", format: "der" })),
  };
}

/** A PublicMessage with a Remove, as an MLSMessage. External senders sign without the GroupContext (§6.1). */
export function signRemoveProposal(fields: RemoveProposalFields): Uint8Array {
  const content = new Writer()
    .opaque(fields.groupId)
    .u64(fields.epoch)
    .u8(SENDER_EXTERNAL)
    .u32(fields.senderIndex)
    .opaque(new Uint8Array(0)) // authenticated_data
    .u8(CONTENT_PROPOSAL)
    .u16(PROPOSAL.remove)
    .u32(fields.removed)
    .finish();
  const toBeSigned = new Writer().u16(MLS_10).u16(WIRE_FORMAT.publicMessage).raw(content).finish();
  const key = createPrivateKey({ key: Buffer.from(fields.privateKey), format: "der", type: "pkcs8" });
  const signed = signContent("FramedContentTBS", toBeSigned);
  const signature = sign(digestOf(fields.ciphersuite), signed, key);
  return encodeMessage(WIRE_FORMAT.publicMessage, new Writer().raw(content).opaque(signature).finish());
}

function keyPairOf(ciphersuite: Ciphersuite): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  const { signature } = suiteOf(ciphersuite);
  if (signature === "ed25519") return generateKeyPairSync("ed25519");
  if (signature === "ed448") return generateKeyPairSync("ed448");
  return generateKeyPairSync("ec", { namedCurve: CURVES[signature] });
}

function digestOf(ciphersuite: Ciphersuite): string | null {
  const { signature, hash } = suiteOf(ciphersuite);
  return signature === "ed25519" || signature === "ed448" ? null : hash;
}

/** Edwards keys as they are; points of the P curves uncompressed. */
function encodePublicKey(key: KeyObject): Uint8Array {
  const { x = "", y } = key.export({ format: "jwk" });
  const parts = [x, ...(y === undefined ? [] : [y])].map((part) => Buffer.from(part, "base64url"));
  return Uint8Array.from(Buffer.concat(y === undefined ? parts : [Buffer.of(UNCOMPRESSED), ...parts]));
}
