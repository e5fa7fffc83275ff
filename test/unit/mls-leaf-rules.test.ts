// [M2] every rule of a leaf that enters or is updated: one mutant a case.
import { describe } from "vitest";
import { Writer } from "../../src/mls/codec/writer.ts";
import { encodeBasicCredential } from "../../src/mls/credential.ts";
import {
  type Case,
  stranger,
  add,
  attempt,
  referredUpdate,
  anyCredential,
  parentKeyAbove,
  keyPackageWith,
  testCases,
} from "../support/rule-cases.ts";
import { SyntheticGroup } from "../support/synthetic-group.ts";
import {
  buildLeaf,
  CAPABILITIES,
  newMember,
  NOW_MS,
  proposals,
  randomKey,
  requiredCapabilities,
} from "../support/synthetic-structs.ts";

const CASES: readonly Case[] = [
  {
    rule: "ADD_VERSION",
    breaks: "a package of another version",
    commit: () => attempt(4, { proposals: [add({ version: 2 })] }),
  },
  {
    rule: "ADD_CIPHERSUITE",
    breaks: "a package of another suite",
    commit: () => attempt(4, { proposals: [add({ ciphersuite: 3 })] }),
  },
  {
    rule: "ADD_SIGNATURE",
    breaks: "a package signed by another key",
    commit: () => attempt(4, { proposals: [add({ signWith: stranger })] }),
  },
  {
    rule: "ADD_INIT_KEY",
    breaks: "a short init key",
    commit: () => attempt(4, { proposals: [add({ initKey: new Uint8Array(31) })] }),
  },
  {
    rule: "ADD_INIT_KEY",
    breaks: "an init key that is the encryption key",
    commit: () => {
      const key = randomKey();
      return attempt(4, { proposals: [add({ initKey: key, leaf: { encryptionKey: key } })] });
    },
  },
  {
    rule: "ADD_INIT_KEY",
    breaks: "an init key of low order, to which no Welcome can be sealed",
    commit: () => attempt(4, { proposals: [add({ initKey: new Uint8Array(32) })] }),
  },
  {
    rule: "LEAF_SOURCE",
    breaks: "an added leaf of another source",
    otherwise: "any",
    commit: () => attempt(4, { proposals: [add({ leaf: { source: "update" } })] }),
  },
  {
    rule: "LEAF_SOURCE",
    breaks: "an Update's leaf of another source",
    commit: () => referredUpdate(() => ({ source: "commit" })),
  },
  {
    rule: "LEAF_SIGNATURE",
    breaks: "an added leaf signed by another key",
    commit: () => {
      const member = newMember("signed by another");
      const group = SyntheticGroup.create(4);
      const leaf = buildLeaf(member, {}, stranger);
      const built = keyPackageWith(member, leaf);
      return { group, commit: group.commit({ proposals: [built] }) };
    },
  },
  {
    rule: "LEAF_LIFETIME",
    breaks: "[M10] an added leaf whose lifetime is over",
    commit: () => attempt(4, { proposals: [add({ leaf: { notAfter: BigInt(NOW_MS / 1000) - 1n } })] }),
  },
  {
    rule: "LEAF_LIFETIME",
    breaks: "[M10] an added leaf whose lifetime has not begun",
    commit: () => attempt(4, { proposals: [add({ leaf: { notBefore: BigInt(NOW_MS / 1000) + 1n } })] }),
  },
  {
    rule: "LEAF_CREDENTIAL",
    breaks: "[M5] an added leaf that the provider refuses",
    commit: () => attempt(4, { proposals: [add({ leaf: { credential: encodeBasicCredential(new Uint8Array(0)) } })] }),
  },
  {
    rule: "LEAF_PARAMETERS",
    breaks: "an added leaf that does not list the group's suite",
    commit: () => attempt(4, { proposals: [add({ leaf: { capabilities: { ...CAPABILITIES, ciphersuites: [3] } } })] }),
  },
  {
    rule: "LEAF_PARAMETERS",
    breaks: "an added leaf that does not list the group's version",
    commit: () => attempt(4, { proposals: [add({ leaf: { capabilities: { ...CAPABILITIES, versions: [0x0a0a] } } })] }),
  },
  {
    rule: "LEAF_PARAMETERS",
    breaks: "an Update that lists the group's suite no more",
    commit: () => referredUpdate(() => ({ capabilities: { ...CAPABILITIES, ciphersuites: [] } })),
  },
  {
    rule: "LEAF_CREDENTIAL_TYPE",
    breaks: "an added leaf that does not list its own type",
    otherwise: "any",
    commit: () => attempt(4, { proposals: [add({ leaf: { capabilities: { ...CAPABILITIES, credentials: [2] } } })] }),
  },
  {
    rule: "LEAF_EXTENSIONS",
    breaks: "an added leaf with an extension that it does not list",
    commit: () =>
      attempt(4, { proposals: [add({ leaf: { extensions: [{ type: 0xf001, data: Uint8Array.of(1) }] } })] }),
  },
  {
    rule: "LEAF_KEYS",
    breaks: "an added leaf with a short encryption key",
    commit: () => attempt(4, { proposals: [add({ leaf: { encryptionKey: new Uint8Array(31) } })] }),
  },
  {
    rule: "LEAF_KEYS",
    breaks: "an added leaf with an encryption key of low order",
    commit: () => attempt(4, { proposals: [add({ leaf: { encryptionKey: new Uint8Array(32) } })] }),
  },
  {
    rule: "LEAF_KEYS",
    breaks: "an Update with an encryption key of low order",
    commit: () => referredUpdate(() => ({ encryptionKey: new Uint8Array(32).fill(1, 0, 1) })),
  },
  {
    rule: "CREDENTIAL_TYPE_SUPPORT",
    breaks: "a credential type that members do not list",
    commit: () => {
      const credential = new Writer().u16(0xf002).opaque(Uint8Array.of(1)).finish();
      const capabilities = { ...CAPABILITIES, credentials: [1, 0xf002] };
      return attempt(4, { proposals: [add({ leaf: { credential, capabilities } })] }, { provider: anyCredential() });
    },
  },
  {
    rule: "CREDENTIAL_TYPE_SUPPORT",
    breaks: "a member that does not list a type in use",
    commit: () => {
      const credential = new Writer().u16(0xf002).opaque(Uint8Array.of(1)).finish();
      const capabilities = { ...CAPABILITIES, credentials: [0xf002] };
      const group = SyntheticGroup.create(4, { capabilities: { credentials: [1, 0xf002] } });
      const commit = group.commit({ proposals: [add({ leaf: { credential, capabilities } })] });
      return { group, commit, terms: { provider: anyCredential() } };
    },
  },
  {
    rule: "REQUIRED_CAPABILITIES",
    breaks: "an added leaf without them",
    commit: () => {
      const group = SyntheticGroup.create(4, {
        extensions: [requiredCapabilities([], [0xf000])],
        capabilities: { proposals: [0xf000] },
      });
      return { group, commit: group.commit({ proposals: [add()] }) };
    },
  },
  {
    rule: "REQUIRED_CAPABILITIES",
    breaks: "requirements that members do not meet",
    commit: () => attempt(4, { proposals: [proposals.contextExtensions([requiredCapabilities([], [], [7])])] }),
  },
  {
    rule: "CONTEXT_EXTENSION_SUPPORT",
    breaks: "a context extension that members do not list",
    commit: () => attempt(4, { proposals: [proposals.contextExtensions([{ type: 0xf001, data: Uint8Array.of(1) }])] }),
  },
  {
    rule: "ENCRYPTION_KEY_UNIQUE",
    breaks: "an added leaf with a member's encryption key",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const encryptionKey = group.group.tree.leaf(2)?.encryptionKey as Uint8Array;
      return { group, commit: group.commit({ proposals: [add({ leaf: { encryptionKey } })] }) };
    },
  },
  {
    rule: "ENCRYPTION_KEY_UNIQUE",
    breaks: "an Update with a parent node's key",
    commit: () => referredUpdate((group) => ({ encryptionKey: parentKeyAbove(group, 0) })),
  },
  {
    rule: "UPDATE_KEY",
    breaks: "an Update that keeps its encryption key",
    otherwise: "any",
    commit: () => referredUpdate((group) => ({ encryptionKey: group.group.tree.leaf(2)?.encryptionKey as Uint8Array })),
  },
];

describe("[M2] every rule of a leaf that enters or is updated", () => {
  testCases(CASES);
});
