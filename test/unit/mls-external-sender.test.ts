// [M6] The back-end's own Remove proposals: right for the follower and for real members, in every ciphersuite.
import { describe, expect, it } from "vitest";
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import { generateExternalSender, signRemoveProposal } from "../../src/mls/external-sender.ts";
import { readGroupMessage } from "../../src/mls/framing.ts";
import { readGroupInfo } from "../../src/mls/group-info.ts";
import { checkProposal } from "../../src/mls/public-group/check-proposal.ts";
import { openPublicGroup } from "../../src/mls/public-group/public-group.ts";
import { readRatchetTree } from "../../src/mls/ratchet-tree.ts";
import { Judge } from "../../src/mls/rules.ts";
import { MlsClient, type ClientCiphersuite } from "../support/mls-client.ts";

const provider = createBasicProvider();

describe("[M6] a Remove proposal of the back-end", () => {
  it.each<ClientCiphersuite>([1, 2, 3, 4, 5, 6, 7])(
    "is accepted by follower and members, suite %i",
    async (ciphersuite) => {
      const keys = generateExternalSender(ciphersuite, "aegis");
      const alice = await MlsClient.create({ identity: "alice", ciphersuite });
      const bob = await MlsClient.create({ identity: "bob", ciphersuite });
      // ts-mls 1.6.4 knows external_senders as one bare struct; the follower reads that and the RFC's vector.
      const extension = { extensionType: "external_senders" as const, extensionData: keys.externalSender };
      const group = await alice.createGroup(new TextEncoder().encode("g"), [extension]);
      const pending = await group.commit({ add: [(await bob.createKeyPackage()).message] });
      pending.accept();
      const info = readGroupInfo(pending.groupInfo);
      const tree = readRatchetTree(pending.ratchetTree, ciphersuite);
      if (info.kind === "malformed" || tree.kind === "malformed") throw new Error("not decoded");
      const terms = { judge: new Judge(), provider, nowMs: Date.now() };
      const opened = await openPublicGroup(info.value, tree.value, terms);
      if (opened.kind === "refused") throw new Error(opened.rule);
      expect(opened.group.externalSenders.map(({ signatureKey }) => signatureKey)).toEqual([keys.publicKey]);
      const bytes = signRemoveProposal({
        ciphersuite,
        groupId: group.groupId,
        epoch: group.epoch,
        senderIndex: 0,
        removed: 1,
        privateKey: keys.privateKey,
      });
      const message = readGroupMessage(bytes);
      if (message.kind === "malformed" || message.value.contentType !== "proposal") throw new Error("not decoded");
      if (message.value.wireFormat !== "public") throw new Error("not public");
      const outcome = await checkProposal(opened.group, message.value, { ...terms, customProposals: [] });
      expect(outcome).toMatchObject({ kind: "accepted", sent: { sender: { type: "external", index: 0 } } });
      await group.receive(bytes);
      const removal = await group.commit();
      removal.accept();
      expect(group.leaves).toEqual([0]);
    },
  );
});
