// crypto-basics, welcome, message-protection and transcript-hashes: the parts that need no secret.
import { describe, expect, it } from "vitest";
import { decodeWhole } from "../../src/mls/codec/reader.ts";
import { readCommit } from "../../src/mls/commit.ts";
import { proposalRef, readGroupMessage, readPublicMessage, verifyContentSignature } from "../../src/mls/framing.ts";
import { encodeGroupContext } from "../../src/mls/group-context.ts";
import { readKeyPackage } from "../../src/mls/key-package.ts";
import { readProposal } from "../../src/mls/proposal.ts";
import { confirmedTranscriptHash, interimTranscriptHash } from "../../src/mls/public-group/transcript.ts";
import { refHash, verifyWithLabel, type Ciphersuite } from "../../src/mls/suites.ts";
import { readWelcome } from "../../src/mls/welcome.ts";
import { bytesOf, hexOf, readVectors, vectorsAbsentNote, vectorsPresent } from "../support/vectors.ts";

interface CryptoBasicsCase {
  cipher_suite: Ciphersuite;
  ref_hash: { label: string; out: string; value: string };
  sign_with_label: { content: string; label: string; pub: string; signature: string };
}
interface WelcomeCase {
  cipher_suite: Ciphersuite;
  key_package: string;
  welcome: string;
}
interface MessageProtectionCase {
  cipher_suite: Ciphersuite;
  group_id: string;
  epoch: number;
  tree_hash: string;
  confirmed_transcript_hash: string;
  signature_pub: string;
  proposal: string;
  proposal_pub: string;
  proposal_priv: string;
  commit: string;
  commit_pub: string;
  commit_priv: string;
  application_priv: string;
}

// Not checked, as they need secrets: derive_secret, derive_tree_secret, expand_with_label, encrypt_with_label.
describe.skipIf(!vectorsPresent)(`crypto-basics.json: ref_hash, sign_with_label${vectorsAbsentNote}`, () => {
  const cases = vectorsPresent ? readVectors<CryptoBasicsCase[]>("crypto-basics.json") : [];
  it.each(cases.map((test) => [test.cipher_suite, test] as const))("suite %i", async (suite, test) => {
    // SignWithLabel adds "MLS 1.0 " to its label, RefHash does not.
    const { ref_hash: ref, sign_with_label: sign } = test;
    expect(hexOf(refHash(suite, ref.label, bytesOf(ref.value)))).toBe(ref.out);
    const key = bytesOf(sign.pub);
    const signature = bytesOf(sign.signature);
    expect(await verifyWithLabel(suite, key, sign.label, bytesOf(sign.content), signature)).toBe(true);
    expect(await verifyWithLabel(suite, key, sign.label + "x", bytesOf(sign.content), signature)).toBe(false);
    signature[signature.length - 1] = (signature.at(-1) as number) ^ 1;
    expect(await verifyWithLabel(suite, key, sign.label, bytesOf(sign.content), signature)).toBe(false);
    expect(await verifyWithLabel(suite, key.subarray(1), sign.label, bytesOf(sign.content), signature)).toBe(false);
  });
});

describe.skipIf(!vectorsPresent)(`welcome.json: the key packages addressed${vectorsAbsentNote}`, () => {
  const cases = vectorsPresent ? readVectors<WelcomeCase[]>("welcome.json") : [];
  it.each(cases.map((test) => [test.cipher_suite, test] as const))("[M4] suite %i", (suite, test) => {
    const keyPackage = readKeyPackage(bytesOf(test.key_package));
    const welcome = readWelcome(bytesOf(test.welcome));
    if (keyPackage.kind === "malformed" || welcome.kind === "malformed") throw new Error("not decoded");
    expect(welcome.value.ciphersuite).toBe(suite);
    const refs = welcome.value.secrets.map((secret) => hexOf(secret.keyPackageRef));
    expect(refs).toContain(hexOf(keyPackage.value.ref));
  });
});

interface TranscriptCase {
  cipher_suite: Ciphersuite;
  authenticated_content: string;
  interim_transcript_hash_before: string;
  confirmed_transcript_hash_after: string;
  interim_transcript_hash_after: string;
}

// confirmation_key is a secret: the tag itself is not checked.
describe.skipIf(!vectorsPresent)(`transcript-hashes.json${vectorsAbsentNote}`, () => {
  const cases = vectorsPresent ? readVectors<TranscriptCase[]>("transcript-hashes.json") : [];
  it.each(cases.map((test) => [test.cipher_suite, test] as const))("[M3] suite %i", (suite, test) => {
    // AuthenticatedContent is a PublicMessage but for the wire format before it and the membership tag after it.
    const bytes = bytesOf(test.authenticated_content);
    const decoded = decodeWhole(Uint8Array.of(...bytes.subarray(2), 0), readPublicMessage);
    if (decoded.kind === "malformed" || decoded.value.contentType !== "commit") throw new Error("not decoded");
    const { confirmationTag } = decoded.value;
    const confirmed = confirmedTranscriptHash(suite, bytesOf(test.interim_transcript_hash_before), decoded.value);
    expect(hexOf(confirmed)).toBe(test.confirmed_transcript_hash_after);
    expect(hexOf(interimTranscriptHash(suite, confirmed, confirmationTag))).toBe(test.interim_transcript_hash_after);
  });
});

// The private messages are decoded, not decrypted: that needs secrets.
describe.skipIf(!vectorsPresent)(`message-protection.json${vectorsAbsentNote}`, () => {
  const cases = vectorsPresent ? readVectors<MessageProtectionCase[]>("message-protection.json") : [];
  it.each(cases.map((test) => [test.cipher_suite, test] as const))("[M2] suite %i", async (suite, test) => {
    const context = encodeGroupContext({
      version: 1,
      ciphersuite: suite,
      groupId: bytesOf(test.group_id),
      epoch: BigInt(test.epoch),
      treeHash: bytesOf(test.tree_hash),
      confirmedTranscriptHash: bytesOf(test.confirmed_transcript_hash),
      extensions: [],
    });
    for (const [field, inner] of [
      ["proposal_pub", "proposal"],
      ["commit_pub", "commit"],
    ] as const) {
      const decoded = readGroupMessage(bytesOf(test[field]));
      if (decoded.kind === "malformed" || decoded.value.wireFormat !== "public") throw new Error("not decoded");
      const message = decoded.value;
      expect(hexOf(message.groupId)).toBe(test.group_id);
      expect(message.epoch).toBe(BigInt(test.epoch));
      const bare = decodeWhole(bytesOf(test[inner]), (reader) =>
        inner === "proposal" ? readProposal(reader) : readCommit(reader),
      );
      expect(bare.kind === "ok" && bare.value).toEqual(
        message.contentType === "proposal" ? message.proposal : message.commit,
      );
      expect(hexOf(message.content).endsWith(test[inner])).toBe(true);
      expect(await verifyContentSignature(message, suite, bytesOf(test.signature_pub), context)).toBe(true);
      expect(await verifyContentSignature(message, suite, bytesOf(test.signature_pub), context.subarray(1))).toBe(
        false,
      );
      if (message.contentType === "proposal") expect(proposalRef(message, suite).length).toBeGreaterThanOrEqual(32);
    }
    for (const [field, type] of [
      ["proposal_priv", "proposal"],
      ["commit_priv", "commit"],
      ["application_priv", "application"],
    ] as const) {
      const decoded = readGroupMessage(bytesOf(test[field]));
      expect(decoded).toMatchObject({ kind: "ok", value: { wireFormat: "private", contentType: type } });
    }
  });
});
