// Every rule by which the follower refuses, once: its name, its RFC 9420 section, what it asks.
// A `Judge` holds the rules that are switched off: none where a message is judged; all where an accepted one is
// replayed; one in the tests that prove that each rule's test can fail.
export const RULES = {
  MESSAGE_GROUP: { section: "12.4.2", asks: "a message names the group that it is for" },
  MESSAGE_EPOCH: { section: "12.4.2", asks: "a handshake message is of the current epoch" },
  SENDER_MEMBER: { section: "6", asks: "a member that sends is a leaf that is not blank" },
  SENDER_EXTERNAL: { section: "12.1.8.1", asks: "an external sender is listed in external_senders" },
  CONTENT_SIGNATURE: { section: "6.1", asks: "the content is signed by its sender" },
  PROPOSAL_TYPE_UNKNOWN: {
    section: "12.2",
    asks: "a proposal is of a type that the back-end knows or a setting declares",
  },
  PROPOSAL_TYPE_SUPPORT: { section: "12.2", asks: "all members that process the commit support its proposal types" },
  EXTERNAL_SENDER_PROPOSAL: { section: "12.1.8", asks: "external senders propose what the RFC lets them" },
  NEW_MEMBER_PROPOSAL: { section: "12.1.8", asks: "a new member proposes nothing but its own Add" },
  ADD_VERSION: { section: "10.1", asks: "an added package is of the group's version" },
  ADD_CIPHERSUITE: { section: "10.1", asks: "an added package is of the group's ciphersuite" },
  ADD_SIGNATURE: { section: "10.1", asks: "an added package is signed by its leaf node's key" },
  ADD_INIT_KEY: { section: "10.1", asks: "an added package's init key is a key, and not its encryption key" },
  ADD_DUPLICATE: { section: "12.2", asks: "no client is added twice, or while it is a member" },
  LEAF_SOURCE: { section: "7.3", asks: "a leaf node's source is right for where it stands" },
  LEAF_SIGNATURE: { section: "7.3", asks: "a leaf node is signed by its own key" },
  LEAF_LIFETIME: { section: "7.3", asks: "an added leaf node's lifetime holds now" },
  LEAF_CREDENTIAL: { section: "5.3.1", asks: "the identity provider accepts a new or changed credential, and its key" },
  LEAF_PARAMETERS: { section: "7.3", asks: "a leaf node lists the group's version and ciphersuite" },
  LEAF_CREDENTIAL_TYPE: { section: "7.3", asks: "a leaf node lists its own credential type" },
  LEAF_EXTENSIONS: { section: "7.3", asks: "a leaf node lists its own extensions" },
  LEAF_KEYS: { section: "5.1.1", asks: "a leaf node's keys are encodings of the suite's keys" },
  CREDENTIAL_TYPE_SUPPORT: { section: "7.3", asks: "all members support every credential type in use" },
  REQUIRED_CAPABILITIES: { section: "11.1", asks: "all members have the group's required capabilities" },
  CONTEXT_EXTENSION_SUPPORT: { section: "13.4", asks: "all members support every context extension" },
  ENCRYPTION_KEY_UNIQUE: { section: "7.3", asks: "no encryption key stands twice in the tree" },
  SIGNATURE_KEY_UNIQUE: { section: "7.3", asks: "no signature key stands at two leaves" },
  UPDATE_KEY: { section: "7.3", asks: "an Update brings another encryption key" },
  REMOVE_MEMBER: { section: "12.1.3", asks: "a Remove names a member" },
  COMMITTER_UPDATE: { section: "12.2", asks: "no Update comes from the committer" },
  COMMITTER_REMOVE: { section: "12.2", asks: "the committer is not removed" },
  LEAF_CHANGED_TWICE: { section: "12.2", asks: "no leaf is updated or removed twice" },
  PSK_DUPLICATE: { section: "12.2", asks: "no pre-shared key stands twice" },
  PSK_NONCE: { section: "12.1.4", asks: "a pre-shared key's nonce has the hash's length" },
  PSK_USAGE: { section: "12.1.4", asks: "reinit and branch keys stand in a group's first commit only" },
  CONTEXT_EXTENSIONS_DUPLICATE: { section: "12.2", asks: "the context's extensions are replaced once" },
  REINIT_ALONE: { section: "12.2", asks: "a ReInit stands alone" },
  REINIT_VERSION: { section: "12.1.5", asks: "a ReInit does not lower the version" },
  EXTERNAL_INIT_MEMBER: { section: "12.2", asks: "a member's commit holds no ExternalInit" },
  EXTERNAL_INIT_ONCE: { section: "12.2", asks: "an external commit holds exactly one ExternalInit" },
  EXTERNAL_COMMIT_LIST: {
    section: "12.2",
    asks: "an external commit holds nothing but ExternalInit, Remove and PreSharedKey",
  },
  EXTERNAL_COMMIT_REMOVE: { section: "12.2", asks: "an external commit removes one leaf at most" },
  EXTERNAL_COMMIT_REFERENCE: { section: "12.4.3.2", asks: "an external commit refers to nothing but SelfRemoves" },
  EXTERNAL_COMMIT_PATH: { section: "12.4.3.2", asks: "an external commit has a path" },
  PATH_REQUIRED: { section: "12.4", asks: "a commit has a path where its proposals need one" },
  PATH_LEAF_KEY: { section: "12.4.2", asks: "the path brings another encryption key for its leaf" },
  PATH_KEYS_NEW: { section: "12.4.2", asks: "no key of the path stands in the tree or twice in the path" },
  PATH_KEY_ENCODING: { section: "5.1.1", asks: "the path's keys are encodings of the suite's keys" },
  PATH_LENGTH: { section: "7.6", asks: "the path has a node for each of the filtered direct path" },
  PATH_CIPHERTEXTS: {
    section: "7.6",
    asks: "each path node has a ciphertext for each node of the copath's resolution",
  },
  PATH_PARENT_HASH: { section: "7.9.2", asks: "the path's leaf carries the parent hash of the path" },
  EPOCH_LAST: { section: "12.4", asks: "there is an epoch after this one" },
  TREE_HASH: { section: "12.4.3.1", asks: "the tree is the one that the context's tree hash names" },
  UNMERGED_LEAVES: { section: "12.4.3.1", asks: "unmerged leaves are members below, known to every node between" },
  PARENT_HASH: { section: "7.9.2", asks: "every parent node is parent-hash valid" },
  PARENT_KEYS: { section: "5.1.1", asks: "parent nodes' keys are encodings of the suite's keys" },
  GROUP_INFO_SIGNER: {
    section: "12.4.3.1",
    asks: "a GroupInfo's signer is a member, and the committer beside a commit",
  },
  GROUP_INFO_SIGNATURE: { section: "12.4.3.1", asks: "a GroupInfo is signed by its signer" },
  GROUP_INFO_CONTEXT: { section: "12.4.3", asks: "a GroupInfo's context is the group's" },
  GROUP_INFO_TAG: { section: "12.4.3", asks: "a GroupInfo's confirmation tag is the commit's" },
  GROUP_INFO_TREE: { section: "12.4.3.3", asks: "a tree given with a GroupInfo is the group's" },
  WELCOME_CIPHERSUITE: { section: "12.4.3.1", asks: "a Welcome is of the group's ciphersuite" },
  WELCOME_ADDRESSES: { section: "12.4.3.1", asks: "the Welcomes address the added packages, and nobody else" },
  WELCOME_ONCE: { section: "12.4.3.1", asks: "the Welcomes address each package once" },
  WELCOME_MISSING: { section: "12.4.1", asks: "every added package has its Welcome" },
} as const;

export type Rule = keyof typeof RULES;

export interface MlsRefusal {
  readonly kind: "refused";
  /** Goes into `details.rule`. */
  readonly rule: string;
  /** Of RFC 9420, as "12.4.2"; goes into `details.section`. */
  readonly section: string;
  readonly message: string;
}

export class Judge {
  readonly #off: ReadonlySet<Rule>;

  /** @param off rules switched off */
  constructor(off: ReadonlySet<Rule> = new Set()) {
    this.#off = off;
  }

  /** A refusal under `rule` when it is broken. */
  when(broken: boolean, rule: Rule, message: string = RULES[rule].asks): MlsRefusal | undefined {
    if (!broken || this.#off.has(rule)) return undefined;
    return { kind: "refused", rule, section: RULES[rule].section, message };
  }

  /** As `when`, for what costs more than a look: not even tried while the rule is off. */
  async unless(holds: () => Promise<boolean>, rule: Rule): Promise<MlsRefusal | undefined> {
    if (this.#off.has(rule)) return undefined;
    return this.when(!(await holds()), rule);
  }
}
