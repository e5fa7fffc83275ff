// What real ts-mls clients send, read by the back-end's own decoders; and a group that works end to end.
import { describe, expect, it } from "vitest";
import type { Decoded } from "../../src/mls/codec/reader.ts";
import { decodeCredential, encodeBasicCredential, equalCredentials } from "../../src/mls/credential.ts";
import { readGroupMessage, verifyContentSignature, type PublicGroupMessage } from "../../src/mls/framing.ts";
import { readGroupInfo, verifyGroupInfoSignature } from "../../src/mls/group-info.ts";
import { encodeRatchetTree, readRatchetTree } from "../../src/mls/ratchet-tree.ts";
import { equalBytes } from "../../src/mls/suites.ts";
import { validateTreeStructure } from "../../src/mls/tree/validate-tree.ts";
import { readWelcome, welcomeFor } from "../../src/mls/welcome.ts";
import { MlsClient, type ClientCiphersuite } from "../support/mls-client.ts";

const SUITES = [
  ...([1, 2, 3, 4, 5, 6, 7] as const).map((ciphersuite) => ({ ciphersuite, crypto: "node" as const })),
  // ts-mls' own implementations; 3, 4 and 6 need packages that are not installed.
  ...([1, 2, 5, 7] as const).map((ciphersuite) => ({ ciphersuite, crypto: "ts-mls" as const })),
];

function valueOf<T>(decoded: Decoded<T>): T {
  if (decoded.kind === "malformed") throw new Error(decoded.why);
  return decoded.value;
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

async function clientsNamed(
  names: readonly string[],
  options: { readonly ciphersuite: ClientCiphersuite; readonly crypto: "node" | "ts-mls" },
): Promise<MlsClient[]> {
  return Promise.all(names.map((identity) => MlsClient.create({ identity, ...options })));
}

describe.each(SUITES)("a ts-mls group of suite $ciphersuite ($crypto crypto)", ({ ciphersuite, crypto }) => {
  it("[M3] [M4] is readable message by message, and its members agree throughout", async () => {
    const [alice, bob, carol] = (await clientsNamed(["alice", "bob", "carol"], { ciphersuite, crypto })) as [
      MlsClient,
      MlsClient,
      MlsClient,
    ];
    const groupId = text("group");
    const aliceGroup = await alice.createGroup(groupId);
    const [bobPackage, carolPackage] = [await bob.createKeyPackage(), await carol.createKeyPackage()];
    const before = valueOf(readGroupInfo(await aliceGroup.groupInfo()));
    const add = await aliceGroup.commit({ add: [bobPackage.message, carolPackage.message] });

    const commit = valueOf(readGroupMessage(add.commit)) as PublicGroupMessage;
    expect(commit).toMatchObject({ contentType: "commit", epoch: 0n, sender: { type: "member", leaf: 0 } });
    expect(await verifyContentSignature(commit, ciphersuite, alice.signatureKey, before.groupContext)).toBe(true);

    const info = valueOf(readGroupInfo(add.groupInfo));
    expect(info).toMatchObject({ epoch: 1n, ciphersuite, signer: 0, hasExternalPub: true, ratchetTree: undefined });
    expect(await verifyGroupInfoSignature(info, alice.signatureKey)).toBe(true);
    expect(await verifyGroupInfoSignature(info, bob.signatureKey)).toBe(false);
    expect(commit.contentType === "commit" && equalBytes(commit.confirmationTag, info.confirmationTag)).toBe(true);

    const tree = valueOf(readRatchetTree(add.ratchetTree, ciphersuite));
    expect(tree.treeHash()).toEqual(info.treeHash);
    expect(validateTreeStructure(tree)).toBeUndefined();
    expect(tree.memberCount).toBe(3);
    expect(Array.from(encodeRatchetTree(tree))).toEqual(Array.from(add.ratchetTree));
    expect(equalCredentials(tree.leaf(1)?.credential as Uint8Array, bob.credential)).toBe(true);
    expect([...tree.members()].map(([leaf]) => leaf)).toEqual([0, 1, 2]);
    expect(tree.leaf(3)).toBeUndefined();
    expect(tree.leaf(4)).toBeUndefined();

    const welcome = valueOf(readWelcome(add.welcome as Uint8Array));
    expect(welcome.secrets.map(({ keyPackageRef }) => keyPackageRef)).toEqual([bobPackage.ref, carolPackage.ref]);
    add.accept();
    const [bobWelcome, carolWelcome] = welcome.secrets.map(({ bytes }) =>
      welcomeFor(welcome.ciphersuite, bytes, welcome.encryptedGroupInfo),
    ) as [Uint8Array, Uint8Array];
    const bobGroup = await bob.joinFromWelcome(bobWelcome, add.ratchetTree);
    await expect(bob.joinFromWelcome(carolWelcome, add.ratchetTree)).rejects.toThrow("addresses none");
    const carolGroup = await carol.joinFromWelcome(carolWelcome, add.ratchetTree);
    expect(bobGroup.epochAuthenticator).toEqual(aliceGroup.epochAuthenticator);
    expect(carolGroup.epochAuthenticator).toEqual(aliceGroup.epochAuthenticator);

    const sent = await bobGroup.send(text("hello"));
    expect(valueOf(readGroupMessage(sent))).toMatchObject({
      wireFormat: "private",
      contentType: "application",
      epoch: 1n,
    });
    expect(await aliceGroup.receive(sent)).toEqual({ kind: "application", data: text("hello") });

    const remove = await bobGroup.commit({ remove: [2] });
    const removal = valueOf(readGroupMessage(remove.commit));
    expect(removal).toMatchObject({
      commit: { proposals: [{ kind: "proposal", proposal: { type: "remove", removed: 2 } }] },
    });
    remove.accept();
    await aliceGroup.receive(remove.commit);
    await carolGroup.receive(remove.commit);
    expect(carolGroup.active).toBe(false);
    expect(aliceGroup.epochAuthenticator).toEqual(bobGroup.epochAuthenticator);

    const { commit: joining, group: carolAgain } = await carol.joinExternally(
      await aliceGroup.groupInfo({ ratchetTree: true }),
    );
    expect(valueOf(readGroupMessage(joining))).toMatchObject({
      sender: { type: "newMemberCommit" },
      contentType: "commit",
    });
    await aliceGroup.receive(joining);
    expect(carolAgain.epochAuthenticator).toEqual(aliceGroup.epochAuthenticator);
  });

  it("[M8] frames private handshakes without their content", async () => {
    const [alice] = (await clientsNamed(["alice"], { ciphersuite, crypto })) as [MlsClient];
    const group = await alice.createGroup(text("private"));
    const pending = await group.commit({ asPublicMessage: false });
    expect(valueOf(readGroupMessage(pending.commit))).toMatchObject({
      wireFormat: "private",
      contentType: "commit",
      epoch: 0n,
      groupId: text("private"),
    });
  });
});

describe("GroupInfo", () => {
  it("reads external_pub in the RFC's form and in that of ts-mls 1.6.4, and does without one", async () => {
    const alice = await MlsClient.create({ identity: "alice" });
    const group = await alice.createGroup(text("g"));
    const bare = valueOf(readGroupInfo(await group.groupInfo()));
    expect(bare.externalPub?.length).toBe(32);
    const without = valueOf(readGroupInfo(await group.groupInfo({ externalPub: false })));
    expect(without.hasExternalPub).toBe(false);
    const withTree = valueOf(readGroupInfo(await group.groupInfo({ ratchetTree: true })));
    expect(withTree.ratchetTree).toEqual(group.ratchetTree());
  });
});

describe("Credential", () => {
  it("[T4] reads what it encodes and compares whole structs", () => {
    const credential = encodeBasicCredential(text("alice"));
    expect(valueOf(decodeCredential(credential))).toMatchObject({ type: "basic", identity: text("alice") });
    expect(equalCredentials(credential, encodeBasicCredential(text("alicf")))).toBe(false);
    expect(decodeCredential(new Uint8Array([...credential, 0])).kind).toBe("malformed");
    expect(decodeCredential(new Uint8Array([0, 0, 0])).kind).toBe("malformed");
  });
});
