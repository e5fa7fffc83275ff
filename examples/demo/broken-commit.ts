// A commit as a broken or hostile client would make it: signed by its sender, but with a key in its path that the
// leaf's parent hash does not vouch for. Any member that processed it would be stuck (RFC 9420 §7.9.2).
import { decodeMlsMessage, encodeMlsMessage, type CiphersuiteImpl, type ClientState } from "ts-mls";
import { createContentCommitSignature } from "ts-mls/framedContent.js";
import { protectPublicMessage } from "ts-mls/messageProtectionPublic.js";

/** @param commit the sender's own, right but for what is broken here */
export async function breakPath(commit: Uint8Array, state: ClientState, suite: CiphersuiteImpl): Promise<Uint8Array> {
  const [message] = decodeMlsMessage(commit, 0) ?? [];
  if (message?.wireformat !== "mls_public_message") throw new Error("Not a PublicMessage");
  const { content, auth } = message.publicMessage;
  const [lowest, ...above] = content.contentType === "commit" ? (content.commit.path?.nodes ?? []) : [];
  if (content.contentType !== "commit" || auth.contentType !== "commit") throw new Error("Not a commit");
  if (content.commit.path === undefined || lowest === undefined) throw new Error("No path to break");
  const hpkePublicKey = lowest.hpkePublicKey.map((byte, at) => (at === 0 ? byte ^ 1 : byte));
  const path = { ...content.commit.path, nodes: [{ ...lowest, hpkePublicKey }, ...above] };
  const { framedContent, signature } = await createContentCommitSignature(
    state.groupContext,
    "mls_public_message",
    { ...content.commit, path },
    content.sender,
    content.authenticatedData,
    state.signaturePrivateKey,
    suite.signature,
  );
  const publicMessage = await protectPublicMessage(
    state.keySchedule.membershipKey,
    state.groupContext,
    { wireformat: "mls_public_message", content: framedContent, auth: { ...auth, signature } },
    suite,
  );
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_public_message", publicMessage });
}
