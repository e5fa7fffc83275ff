// [M7] every rule of an external commit: one mutant a case.
import { describe } from "vitest";
import { type Case, add, attempt, testCases } from "../support/rule-cases.ts";
import { memberSender, SyntheticGroup } from "../support/synthetic-group.ts";
import { newMember, proposals } from "../support/synthetic-structs.ts";

const CASES: readonly Case[] = [
  {
    rule: "EXTERNAL_COMMIT_PATH",
    breaks: "an external commit without a path",
    otherwise: "refused",
    commit: () => attempt(4, { joiner: newMember("joiner"), path: false, proposals: [proposals.externalInit()] }),
  },
  { rule: "EXTERNAL_INIT_ONCE", breaks: "no ExternalInit", commit: () => attempt(4, { joiner: newMember("joiner") }) },
  {
    rule: "EXTERNAL_INIT_ONCE",
    breaks: "two ExternalInits",
    commit: () =>
      attempt(4, { joiner: newMember("joiner"), proposals: [proposals.externalInit(), proposals.externalInit()] }),
  },
  {
    rule: "EXTERNAL_COMMIT_LIST",
    breaks: "an Add in an external commit",
    commit: () => attempt(4, { joiner: newMember("joiner"), proposals: [proposals.externalInit(), add()] }),
  },
  {
    rule: "EXTERNAL_COMMIT_REMOVE",
    breaks: "two Removes in an external commit",
    commit: () =>
      attempt(4, {
        joiner: newMember("joiner"),
        proposals: [proposals.externalInit(), proposals.remove(1), proposals.remove(2)],
      }),
  },
  {
    rule: "EXTERNAL_COMMIT_REFERENCE",
    breaks: "a proposal by reference in an external commit",
    commit: async () => {
      const group = SyntheticGroup.create(4);
      const sent = await group.propose(proposals.remove(2), memberSender(1), group.member(1));
      const joiner = newMember("joiner");
      return { group, commit: group.commit({ joiner, referred: [sent], proposals: [proposals.externalInit()] }) };
    },
  },
];

describe("[M7] every rule of an external commit", () => {
  testCases(CASES);
});
