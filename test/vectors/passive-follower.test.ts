// passive-client-handling-commit.json: 182 epochs of real commits, followed without a secret.
// The oracle is a ts-mls member: it opens the Welcome with the vector's secrets, hands over the starting
// tree, and must agree with the follower on every context, as its authenticator does with the vector's.
import { describe, expect, it } from "vitest";
import {
  acceptAll,
  bytesToBase64,
  decodeMlsMessage,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  makePskIndex,
  processMessage,
  type ClientState,
  type MLSMessage,
} from "ts-mls";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { groupContextEncoder } from "ts-mls/groupContext.js";
import { decodeRatchetTree, ratchetTreeEncoder } from "ts-mls/ratchetTree.js";
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import type { IdentityProvider } from "../../src/mls/identity-provider.ts";
import { readGroupMessage, verifyContentSignature, type PublicGroupMessage } from "../../src/mls/framing.ts";
import { checkProposal } from "../../src/mls/public-group/check-proposal.ts";
import { followCommit } from "../../src/mls/public-group/follow-commit.ts";
import type { SentProposal } from "../../src/mls/public-group/proposal-list.ts";
import { loadPublicGroup, type PublicGroup } from "../../src/mls/public-group/public-group.ts";
import { checkTreeLeaves } from "../../src/mls/public-group/tree-leaves.ts";
import { Judge } from "../../src/mls/rules.ts";
import type { Ciphersuite } from "../../src/mls/suites.ts";
import { validateTreeStructure } from "../../src/mls/tree/validate-tree.ts";
import { CLIENT_CIPHERSUITES } from "../support/mls-client.ts";
import { nodeCryptoProvider } from "../support/node-crypto-provider.ts";
import { bytesOf, hexOf, readVectors, vectorsAbsentNote, vectorsPresent } from "../support/vectors.ts";

interface PassiveCase {
  cipher_suite: Ciphersuite;
  external_psks: { psk_id: string; psk: string }[];
  key_package: string;
  signature_priv: string;
  encryption_priv: string;
  init_priv: string;
  welcome: string;
  ratchet_tree: string | null;
  initial_epoch_authenticator: string;
  epochs: { proposals: string[]; commit: string; epoch_authenticator: string }[];
}

const judge = new Judge();
/** The vectors' identities are random bytes, not names: any basic credential will do here. */
const provider: IdentityProvider = { ...createBasicProvider(), validate: () => ({ valid: true, handle: "anyone" }) };

function decode(hex: string): MLSMessage {
  const decoded = decodeMlsMessage(bytesOf(hex), 0);
  if (decoded === undefined) throw new Error("ts-mls could not decode a vector");
  return decoded[0];
}

function handshake(hex: string): PublicGroupMessage {
  const decoded = readGroupMessage(bytesOf(hex));
  if (decoded.kind === "malformed" || decoded.value.wireFormat !== "public") throw new Error("not a PublicMessage");
  return decoded.value;
}

class Oracle {
  state: ClientState;
  readonly #receive: (state: ClientState, message: MLSMessage) => Promise<ClientState>;

  private constructor(state: ClientState, receive: Oracle["advance"]) {
    this.state = state;
    this.#receive = receive;
  }

  static async join(test: PassiveCase): Promise<Oracle> {
    const name = CLIENT_CIPHERSUITES[test.cipher_suite];
    const impl = await getCiphersuiteImpl(getCiphersuiteFromName(name), nodeCryptoProvider);
    const psks = Object.fromEntries(
      test.external_psks.map(({ psk_id, psk }) => [bytesToBase64(bytesOf(psk_id)), bytesOf(psk)]),
    );
    const [welcome, keyPackage] = [decode(test.welcome), decode(test.key_package)];
    if (welcome.wireformat !== "mls_welcome" || keyPackage.wireformat !== "mls_key_package") throw new Error("vector");
    const state = await joinGroup(
      welcome.welcome,
      keyPackage.keyPackage,
      {
        initPrivateKey: bytesOf(test.init_priv),
        hpkePrivateKey: bytesOf(test.encryption_priv),
        signaturePrivateKey: bytesOf(test.signature_priv),
      },
      makePskIndex(undefined, psks),
      impl,
      test.ratchet_tree === null ? undefined : decodeRatchetTree(bytesOf(test.ratchet_tree), 0)?.[0],
    );
    return new Oracle(state, async (before, message) => {
      if (message.wireformat !== "mls_public_message") throw new Error("vector");
      const result = await processMessage(message, before, makePskIndex(before, psks), acceptAll, impl);
      return result.newState;
    });
  }

  readonly advance = (state: ClientState, message: MLSMessage): Promise<ClientState> => this.#receive(state, message);

  async receive(hex: string): Promise<void> {
    this.state = await this.advance(this.state, decode(hex));
  }

  get groupContext(): Uint8Array {
    return encode(groupContextEncoder)(this.state.groupContext);
  }

  get authenticator(): string {
    return hexOf(this.state.keySchedule.epochAuthenticator);
  }

  snapshot(): Parameters<typeof loadPublicGroup>[0] {
    return {
      groupContext: this.groupContext,
      confirmationTag: this.state.confirmationTag,
      ratchetTree: encode(ratchetTreeEncoder)(this.state.ratchetTree),
    };
  }
}

/** A moment at which the vector's key packages are alive: their lifetimes are years past or endless. */
function instantOf(test: PassiveCase): number {
  const keyPackage = decode(test.key_package);
  if (keyPackage.wireformat !== "mls_key_package") throw new Error("vector");
  const { leafNode } = keyPackage.keyPackage;
  return Number(leafNode.lifetime.notBefore) * 1000 + 60_000;
}

async function followEpoch(
  group: PublicGroup,
  epoch: PassiveCase["epochs"][number],
  nowMs: number,
): Promise<PublicGroup> {
  const proposals = new Map<string, SentProposal>();
  const terms = { judge, provider, nowMs, customProposals: [] };
  for (const hex of epoch.proposals) {
    const message = handshake(hex);
    if (message.contentType !== "proposal") throw new Error("not a proposal");
    const outcome = await checkProposal(group, message, terms);
    expect(outcome).toMatchObject({ kind: "accepted" });
    if (outcome.kind === "accepted") proposals.set(hexOf(outcome.ref), outcome.sent);
  }
  const commit = handshake(epoch.commit);
  if (commit.contentType !== "commit") throw new Error("not a commit");
  const followed = await followCommit(group, commit, {
    ...terms,
    findProposal: (ref) => proposals.get(hexOf(ref)),
  });
  expect(followed).toMatchObject({ kind: "followed" });
  if (followed.kind !== "followed") throw new Error("not followed");
  return followed.group;
}

describe.skipIf(!vectorsPresent)(`passive-client-handling-commit.json${vectorsAbsentNote}`, () => {
  const cases = vectorsPresent ? readVectors<PassiveCase[]>("passive-client-handling-commit.json") : [];
  let epochs = 0;

  it.each(cases.map((test, at) => [at, test.cipher_suite, test.epochs.length, test] as const))(
    "[M2] [M3] follows case %i (suite %i, %i epochs)",
    async (_, ciphersuite, __, test) => {
      const oracle = await Oracle.join(test);
      expect(oracle.authenticator).toBe(test.initial_epoch_authenticator);
      const loaded = loadPublicGroup(oracle.snapshot());
      if (loaded.kind === "malformed") throw new Error(loaded.why);
      let group = loaded.value;
      const nowMs = instantOf(test);
      expect(group.tree.treeHash()).toEqual(group.context.treeHash);
      expect(validateTreeStructure(group.tree)).toBeUndefined();
      expect(
        await checkTreeLeaves(group.state, group.context, { judge, provider, nowMs, ciphersuite }),
      ).toBeUndefined();
      for (const epoch of test.epochs) {
        const commit = handshake(epoch.commit);
        if (commit.sender.type !== "member") throw new Error("not a member's");
        const key = group.tree.leaf(commit.sender.leaf)?.signatureKey as Uint8Array;
        expect(await verifyContentSignature(commit, ciphersuite, key, group.groupContext)).toBe(true);
        group = await followEpoch(group, epoch, nowMs);
        for (const proposal of epoch.proposals) await oracle.receive(proposal);
        await oracle.receive(epoch.commit);
        expect(oracle.authenticator).toBe(epoch.epoch_authenticator);
        expect(hexOf(group.groupContext)).toBe(hexOf(oracle.groupContext));
        expect(validateTreeStructure(group.tree)).toBeUndefined();
        epochs++;
      }
    },
  );

  it("counts 182 epochs", () => {
    expect(epochs).toBe(182);
  });
});
