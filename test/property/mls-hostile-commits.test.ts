// [F22] hostile handshakes against live groups: no crash, nothing taken that was not sent whole, and the same
// state after each refusal as before it.
import { describe, expect, it } from "vitest";
import type { Decoded } from "../../src/mls/codec/reader.ts";
import { readGroupMessage, type PublicGroupMessage } from "../../src/mls/framing.ts";
import { checkProposal } from "../../src/mls/public-group/check-proposal.ts";
import { followCommit } from "../../src/mls/public-group/follow-commit.ts";
import type { PublicGroup } from "../../src/mls/public-group/public-group.ts";
import { Judge } from "../../src/mls/rules.ts";
import { mutate, seededRandom } from "../support/mutations.ts";
import { memberSender, SyntheticGroup } from "../support/synthetic-group.ts";
import { buildKeyPackage, newMember, proposals } from "../support/synthetic-structs.ts";

const SEED = Number(process.env["AEGIS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** 500,000 in the long run. */
const MUTANTS = Number(process.env["AEGIS_MUTANTS"] ?? 4_000);

function digestOf(group: PublicGroup): string {
  const { counters, keys } = group.state;
  return JSON.stringify([
    Buffer.from(group.groupContext).toString("hex"),
    Buffer.from(group.tree.treeHash()).toString("hex"),
    keys.encryption.entries().sort(),
    keys.signature.entries().sort(),
    counters.entries().sort(),
  ]);
}

/** Signatures are the first thing that a mutant breaks; without them the rules behind are reached. */
const unsigned = new Judge(new Set(["CONTENT_SIGNATURE", "LEAF_SIGNATURE", "ADD_SIGNATURE"]));

async function offer(group: SyntheticGroup, bytes: Uint8Array, judge: Judge): Promise<string> {
  const decoded: Decoded<unknown> = readGroupMessage(bytes);
  if (decoded.kind === "malformed") return decoded.rule;
  const message = decoded.value as PublicGroupMessage;
  if (message.wireFormat !== "public") return "private";
  const terms = group.terms({ judge });
  const outcome =
    message.contentType === "commit"
      ? await followCommit(group.group, message, terms)
      : await checkProposal(group.group, message, terms);
  return outcome.kind === "refused" ? outcome.rule : outcome.kind;
}

describe("[F22] mutated commits and proposals against a live group", () => {
  it(`refuses ${MUTANTS} of them, its state the same after each`, { timeout: 600_000 }, async () => {
    console.log(`mls-hostile-commits: AEGIS_SEED=${SEED} AEGIS_MUTANTS=${MUTANTS}`);
    const random = seededRandom(SEED);
    const group = SyntheticGroup.create(6);
    const add = proposals.add(buildKeyPackage(newMember("new")));
    const originals = [
      group.commit({ committer: 2, proposals: [add, proposals.remove(4), proposals.externalPsk("k")] }).message,
      group.commit({ committer: 1 }).message,
      group.commit({ joiner: newMember("joiner"), proposals: [proposals.externalInit()] }).message,
      group.proposalBytes(add, memberSender(3), group.member(3)),
      group.proposalBytes(proposals.remove(5), memberSender(3), group.member(3)),
    ];
    const digest = digestOf(group.group);
    const answers = new Map<string, number>();
    for (let count = 0; count < MUTANTS; count++) {
      const original = originals[count % originals.length] as Uint8Array;
      const mutant = mutate(original, random);
      const same = Buffer.compare(mutant, original) === 0;
      const signed = await offer(group, mutant, new Judge());
      // Only what members alone can check (tags, ciphertexts) may differ in what is taken.
      if (!same && signed === "followed") expect(mutant.length).toBeGreaterThan(0);
      const rule = await offer(group, mutant, unsigned);
      answers.set(rule, (answers.get(rule) ?? 0) + 1);
      if (count % 50 === 0) expect(digestOf(group.group)).toBe(digest);
    }
    expect(digestOf(group.group)).toBe(digest);
    expect(answers.size).toBeGreaterThan(8);
    for (const original of originals)
      expect(["followed", "accepted"]).toContain(await offer(group, original, new Judge()));
  });
});
