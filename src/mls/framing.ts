// PublicMessage and PrivateMessage (RFC 9420 §6): what a back-end can know of a handshake or application message.
// Nothing is decrypted; what only members can check (membership tag) passes untouched (PROTOCOL M8).
import { malformed, type Decoded, type Reader } from "./codec/reader.ts";
import { Writer } from "./codec/writer.ts";
import { readCommit, type Commit } from "./commit.ts";
import { decodeMessage } from "./message.ts";
import { readProposal, type Proposal } from "./proposal.ts";
import { MLS_10, WIRE_FORMAT } from "./registries.ts";
import { refHash, verifyWithLabel, type Ciphersuite } from "./suites.ts";

export type ContentType = "application" | "proposal" | "commit";

export type Sender =
  | { readonly type: "member"; readonly leaf: number }
  | { readonly type: "external"; readonly index: number }
  | { readonly type: "newMemberProposal" }
  | { readonly type: "newMemberCommit" };

interface Framing {
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly authenticatedData: Uint8Array;
}

export interface PrivateGroupMessage extends Framing {
  readonly wireFormat: "private";
  readonly contentType: ContentType;
}

interface PublicFraming extends Framing {
  readonly wireFormat: "public";
  readonly sender: Sender;
  readonly signature: Uint8Array;
  /** FramedContent as it came. */
  readonly content: Uint8Array;
  /** Only of members; only members can check it. */
  readonly membershipTag: Uint8Array | undefined;
}

export interface PublicProposal extends PublicFraming {
  readonly contentType: "proposal";
  readonly proposal: Proposal;
  /** AuthenticatedContent: what a ProposalRef is the hash of. */
  readonly proposalRefInput: Uint8Array;
}

export interface PublicCommit extends PublicFraming {
  readonly contentType: "commit";
  readonly commit: Commit;
  readonly confirmationTag: Uint8Array;
}

export type PublicGroupMessage = PublicProposal | PublicCommit;
export type GroupMessage = PrivateGroupMessage | PublicGroupMessage;

const CONTENT_TYPES: readonly ContentType[] = ["application", "proposal", "commit"];

/** Decodes an MLSMessage that holds a PublicMessage or a PrivateMessage. */
export function readGroupMessage(mlsMessage: Uint8Array): Decoded<GroupMessage> {
  return decodeMessage<GroupMessage>(mlsMessage, {
    [WIRE_FORMAT.publicMessage]: readPublicMessage,
    [WIRE_FORMAT.privateMessage]: readPrivateMessage,
  });
}

export function readPrivateMessage(reader: Reader): PrivateGroupMessage {
  const groupId = reader.opaque();
  const epoch = reader.u64();
  const contentType = readContentType(reader);
  const authenticatedData = reader.opaque();
  reader.skipOpaque(); // encrypted_sender_data
  reader.skipOpaque(); // ciphertext
  return { wireFormat: "private", groupId, epoch, authenticatedData, contentType };
}

export function readPublicMessage(reader: Reader): PublicGroupMessage {
  const start = reader.offset;
  const framing = {
    groupId: reader.opaque(),
    epoch: reader.u64(),
    sender: readSender(reader),
    authenticatedData: reader.opaque(),
  };
  const contentType = readContentType(reader);
  // §6.2: application data is never sent as a PublicMessage.
  if (contentType === "application")
    return malformed("application data in a PublicMessage", "APPLICATION_IN_PUBLIC", "6.2");
  checkSenderMaySend(framing.sender, contentType);
  const body = contentType === "proposal" ? readProposal(reader) : readCommit(reader);
  const content = reader.since(start);
  const signature = reader.opaque();
  const confirmationTag = contentType === "commit" ? reader.opaque() : undefined;
  const authenticated = reader.since(start);
  const membershipTag = framing.sender.type === "member" ? reader.opaque() : undefined;
  const common = { wireFormat: "public" as const, ...framing, signature, content, membershipTag };
  if (confirmationTag !== undefined) {
    return { ...common, contentType: "commit", commit: body as Commit, confirmationTag };
  }
  const proposalRefInput = new Writer(authenticated.length + 2)
    .u16(WIRE_FORMAT.publicMessage)
    .raw(authenticated)
    .finish();
  return { ...common, contentType: "proposal", proposal: body as Proposal, proposalRefInput };
}

/** FramedContentTBS (§6.1). `groupContext` is signed along by members and external joiners only. */
export function framedContentToBeSigned(message: PublicGroupMessage, groupContext: Uint8Array): Uint8Array {
  const { type } = message.sender;
  const withContext = type === "member" || type === "newMemberCommit";
  const writer = new Writer(message.content.length + groupContext.length + 4)
    .u16(MLS_10)
    .u16(WIRE_FORMAT.publicMessage)
    .raw(message.content);
  if (withContext) writer.raw(groupContext);
  return writer.finish();
}

/** Verifies the sender's signature over the content in the given GroupContext (encoded). */
export function verifyContentSignature(
  message: PublicGroupMessage,
  ciphersuite: Ciphersuite,
  signatureKey: Uint8Array,
  groupContext: Uint8Array,
): Promise<boolean> {
  const content = framedContentToBeSigned(message, groupContext);
  return verifyWithLabel(ciphersuite, signatureKey, "FramedContentTBS", content, message.signature);
}

/** §5.2: the reference by which a Commit names this proposal. */
export function proposalRef(message: PublicProposal, ciphersuite: Ciphersuite): Uint8Array {
  return refHash(ciphersuite, "MLS 1.0 Proposal Reference", message.proposalRefInput);
}

export function readSender(reader: Reader): Sender {
  switch (reader.u8()) {
    case 1:
      return { type: "member", leaf: reader.u32() };
    case 2:
      return { type: "external", index: reader.u32() };
    case 3:
      return { type: "newMemberProposal" };
    case 4:
      return { type: "newMemberCommit" };
    default:
      return malformed("a sender of an unknown type");
  }
}

function readContentType(reader: Reader): ContentType {
  return CONTENT_TYPES[reader.u8() - 1] ?? malformed("content of an unknown type");
}

/** §6: external senders and new members send proposals, an external joiner sends a commit. */
function checkSenderMaySend(sender: Sender, contentType: ContentType): void {
  if (sender.type === "newMemberCommit" && contentType !== "commit") {
    malformed("an external joiner sends nothing but a commit", "SENDER_CONTENT", "6");
  }
  if ((sender.type === "external" || sender.type === "newMemberProposal") && contentType !== "proposal") {
    malformed("a sender outside the group sends nothing but proposals", "SENDER_CONTENT", "6");
  }
}
