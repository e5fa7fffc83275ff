// [M2] every rule of a commit's path: one mutant a case.
import { describe } from "vitest";
import { encodeBasicCredential } from "../../src/mls/credential.ts";
import { type Case, stranger, add, attempt, updateOf, parentKeyAbove, testCases } from "../support/rule-cases.ts";
import { memberSender, SyntheticGroup } from "../support/synthetic-group.ts";
import { CAPABILITIES, proposals, randomKey, requiredCapabilities } from "../support/synthetic-structs.ts";

const CASES: readonly Case[] = [
  {
    rule: "LEAF_SOURCE",
    breaks: "a path leaf of another source",
    otherwise: "any",
    commit: () => attempt(4, { pathOptions: { leaf: { source: "update" } } }),
  },
  {
    rule: "LEAF_SIGNATURE",
    breaks: "a path leaf signed by another key",
    commit: () => attempt(4, { pathOptions: { leafSigner: stranger } }),
  },
  {
    rule: "LEAF_SIGNATURE",
    breaks: "a path leaf signed for another leaf",
    commit: () =>
      attempt(4, {
        pathOptions: { leaf: { place: { groupId: new TextEncoder().encode("synthetic"), leafIndex: 1 } } },
      }),
  },
  {
    rule: "LEAF_SIGNATURE",
    breaks: "a path leaf signed for another group",
    commit: () => attempt(4, { pathOptions: { leaf: { place: { groupId: Uint8Array.of(1), leafIndex: 0 } } } }),
  },
  {
    rule: "LEAF_CREDENTIAL",
    breaks: "[M5] a path leaf whose new credential the provider refuses",
    commit: () => attempt(4, { pathOptions: { leaf: { credential: encodeBasicCredential(Uint8Array.of(0xff)) } } }),
  },
  {
    rule: "LEAF_PARAMETERS",
    breaks: "a path leaf that lists the group's suite no more",
    commit: () => attempt(4, { pathOptions: { leaf: { capabilities: { ...CAPABILITIES, ciphersuites: [3] } } } }),
  },
  {
    rule: "REQUIRED_CAPABILITIES",
    breaks: "a path leaf that drops them",
    commit: () => {
      const group = SyntheticGroup.create(4, {
        extensions: [requiredCapabilities([], [0xf000])],
        capabilities: { proposals: [0xf000] },
      });
      return { group, commit: group.commit({ pathOptions: { leaf: { capabilities: CAPABILITIES } } }) };
    },
  },
  {
    rule: "SIGNATURE_KEY_UNIQUE",
    breaks: "a path leaf with another member's signature key",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const other = group.member(3);
      const pathOptions = { leaf: { signatureKey: other.signatureKey }, leafSigner: other };
      return { group, commit: group.commit({ pathOptions }) };
    },
  },
  { rule: "PATH_REQUIRED", breaks: "no proposals and no path", commit: () => attempt(4, { path: false }) },
  {
    rule: "PATH_REQUIRED",
    breaks: "a Remove without a path",
    commit: () => attempt(4, { path: false, proposals: [proposals.remove(2)] }),
  },
  {
    rule: "PATH_REQUIRED",
    breaks: "an Update without a path",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const sent = group.proposeUnjudged(updateOf(group, 2), memberSender(2), group.member(2));
      return { group, commit: group.commit({ path: false, referred: [sent] }) };
    },
  },
  {
    rule: "PATH_REQUIRED",
    breaks: "new context extensions without a path",
    commit: () => attempt(4, { path: false, proposals: [proposals.contextExtensions([])] }),
  },
  {
    rule: "PATH_LEAF_KEY",
    breaks: "a path that keeps its leaf's encryption key",
    otherwise: "any",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const encryptionKey = group.group.tree.leaf(0)?.encryptionKey as Uint8Array;
      return { group, commit: group.commit({ pathOptions: { leaf: { encryptionKey } } }) };
    },
  },
  {
    rule: "PATH_KEYS_NEW",
    breaks: "a path node with a key of the tree",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const known = group.group.tree.leaf(3)?.encryptionKey as Uint8Array;
      return { group, commit: group.commit({ pathOptions: { keys: (keys) => [known, ...keys.slice(1)] } }) };
    },
  },
  {
    rule: "PATH_KEYS_NEW",
    breaks: "a path node that keeps its key",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const own = parentKeyAbove(group, 0);
      return { group, commit: group.commit({ pathOptions: { keys: (keys) => [own, ...keys.slice(1)] } }) };
    },
  },
  {
    rule: "PATH_KEYS_NEW",
    breaks: "the same key twice in the path",
    commit: () => attempt(4, { pathOptions: { keys: ([first]) => [first as Uint8Array, first as Uint8Array] } }),
  },
  {
    rule: "PATH_KEY_ENCODING",
    breaks: "a short key in the path",
    commit: () => attempt(4, { pathOptions: { keys: (keys) => [new Uint8Array(31), ...keys.slice(1)] } }),
  },
  {
    rule: "PATH_LENGTH",
    breaks: "a path that is too short",
    otherwise: "any",
    commit: () => attempt(4, { pathOptions: { keys: (keys) => keys.slice(1) } }),
  },
  {
    rule: "PATH_LENGTH",
    breaks: "a path that is too long",
    otherwise: "any",
    commit: () => attempt(4, { pathOptions: { keys: (keys) => [...keys, randomKey()] } }),
  },
  {
    rule: "PATH_CIPHERTEXTS",
    breaks: "a ciphertext too few",
    commit: () => attempt(4, { pathOptions: { ciphertexts: ([first = 0, ...rest]) => [first - 1, ...rest] } }),
  },
  {
    rule: "PATH_CIPHERTEXTS",
    breaks: "a ciphertext for a leaf that this commit added",
    commit: () =>
      attempt(3, {
        committer: 2,
        proposals: [add()],
        pathOptions: { ciphertexts: ([first = 0, ...rest]) => [first + 1, ...rest] },
      }),
  },
  {
    rule: "PATH_PARENT_HASH",
    breaks: "another parent hash",
    commit: () => attempt(4, { pathOptions: { leaf: { parentHash: randomKey() } } }),
  },
  {
    rule: "PATH_PARENT_HASH",
    breaks: "no parent hash",
    commit: () => attempt(4, { pathOptions: { leaf: { parentHash: new Uint8Array(0) } } }),
  },
];

describe("[M2] every rule of a commit's path", () => {
  testCases(CASES);
});
