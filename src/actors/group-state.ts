// What a group is: its head, the commands that change it, and the names of its parts. What is large
// (members, trees, GroupInfo, proposals) goes into parts, so that the head stays small (L5). No behaviour.
import type { GroupSettings } from "../protocol/schemas/application.ts";
import type { Tracking } from "../protocol/schemas/group.ts";
import type { Effect } from "./effects.ts";
import type { GovernedBy } from "./group-settings.ts";
import type { KeptTree, NewSnapshot, NewTree } from "./group-trees.ts";
import type { PastTrees } from "./past-trees.ts";
import type { Roster } from "./roster.ts";
import type { StreamWindow } from "./stream-window.ts";

export interface GroupContext {
  readonly applicationId: string;
  /** The actor's id: hex of the group id, or of its hash when it is long. */
  readonly id: string;
  /** Base64 of the MLS group_id. */
  readonly groupId: string;
  readonly tracking: Tracking;
  readonly ciphersuite: number;
  /** Current MLS epoch, decimal: 64 bits do not fit a number. */
  readonly epoch: string;
  /** Offset of the commit that began it; 0: the group's creation did. Not in what older machines stored. */
  readonly begun?: number;
  /**
   * Base64 SHA-256 of that commit, or of the GroupInfo that the group was created with: after history was lost, another
   * commit may begin the same epoch. Not in what older machines stored.
   */
  readonly begunBy?: string;
  readonly members: number;
  /** `ordering`: whoever is a member has been named, as far as can be seen. Not in what older machines stored. */
  readonly everyMemberKnown?: boolean;
  readonly settings: GroupSettings;
  readonly window: StreamWindow;
  /** `full`: snapshots, oldest first. `ordering`: the present epoch's tree; older machines kept past ones before it. */
  readonly trees: readonly KeptTree[];
  /** `ordering`: trees of epochs that are over. Not in what older machines stored. */
  readonly pastTrees?: PastTrees;
  readonly proposals: number;
  /** Those of them by external senders, the back-end among these. Not in what older machines stored. */
  readonly externalProposals?: number;
  /** Bytes of the encoded tree of the present epoch; 0 where it is not known. */
  readonly treeBytes: number;
  /** `full`: bytes of handshakes since the newest snapshot. */
  readonly journalBytes: number;
  /** `full`: who was there at the beginning; what is stored leaf by leaf beside it counts first (roster.ts). */
  readonly roster?: Roster;
  /** In `absent`: groups that were about to go on under this id. */
  readonly reservations?: SuccessorReservations;
  /** In `reinit`: where the group goes on. */
  readonly successor?: Successor;
}

/** Made before the commit of a ReInit; real once the predecessor has ended into this id. */
export interface SuccessorReservation {
  /** Base64 of the predecessor's MLS group_id. */
  readonly predecessor: string;
}

export interface SuccessorReservations {
  /** Rises with each, so that a create is judged against all of them. */
  readonly made: number;
  readonly by: readonly SuccessorReservation[];
}

/** Groups that may have tried to go on under one id. */
export const RESERVATIONS_MAX = 16;

export interface Successor {
  /** Base64. */
  readonly groupId: string;
  readonly version: number;
  readonly ciphersuite: number;
}

/** A group is about to end into this id (RFC 9420 §11.2). */
export interface ReserveCommand extends SuccessorReservation {
  readonly type: "reserve";
}

/** PROTOCOL T7, with the leaf where it is known. */
export interface Sender {
  readonly type: "member" | "newMember" | "external";
  readonly leaf?: number;
  readonly clientId?: string;
}

/** The state that a service judged by; the turn compares (L4). */
export interface JudgedEpoch {
  readonly epoch: string;
  /** As the head has it. */
  readonly begunBy?: string;
}

export interface CreateCommand {
  readonly type: "create";
  readonly groupId: string;
  readonly tracking: Tracking;
  readonly ciphersuite: number;
  readonly epoch: string;
  readonly settings: GroupSettings;
  readonly groupInfo: Uint8Array;
  /** Base64 SHA-256 of the GroupInfo. Not in what older nodes send. */
  readonly digest?: string;
  readonly tree?: NewTree;
  readonly full?: FirstState;
  /** Clients known to be members, in pages (roster.ts); in `full` tracking by leaf, from leaf 0 on. */
  readonly members: readonly Uint8Array[];
  /** Leaves of the tree where it is known, else the clients known. */
  readonly memberCount: number;
  /** `ordering`: those clients are all the members there are. */
  readonly everyMemberKnown?: boolean;
  /** Reservations of the id that were judged. */
  readonly reservations: number;
  readonly governed: GovernedBy;
}

/** `epoch`: the one that the commit is for. */
export interface SubmitCommitCommand extends JudgedEpoch {
  readonly type: "submitCommit";
  readonly message: Uint8Array;
  /** Base64 SHA-256 of the message. */
  readonly digest: string;
  readonly committer?: Sender;
  readonly external: boolean;
  /** The client that joins by an external commit was a member already. */
  readonly resync: boolean;
  /** `full`: as the head had it that the commit was judged by. Not in what older nodes send. */
  readonly externalProposals?: number;
  readonly added: readonly {
    readonly clientId: string;
    readonly keyPackageRef?: Uint8Array;
    /** A whole Welcome for this client alone. */
    readonly welcome?: Uint8Array;
    /** This client's EncryptedGroupSecrets, and which of `sharedWelcomes` has the rest. */
    readonly shared?: { readonly of: number; readonly secrets: Uint8Array };
  }[];
  /** What Welcomes for several clients have in common. */
  readonly sharedWelcomes?: readonly { readonly of: number; readonly encryptedGroupInfo: Uint8Array }[];
  readonly removed: readonly string[];
  /** Refs of the packages whose Welcome goes back to the caller, for a repeated answer. */
  readonly undelivered: readonly Uint8Array[];
  readonly groupInfo?: Uint8Array;
  readonly tree?: NewTree;
  readonly full?: FollowedState;
  readonly governed: GovernedBy;
}

/** Whose a leaf is, stored when it enters (PROTOCOL M5); no client: a stranger's. */
export interface OwnedLeaf {
  readonly leaf: number;
  readonly clientId?: string;
}

/** What `full` tracking knows of a group at its creation. */
export interface FirstState {
  readonly snapshot: NewSnapshot;
  /** Leaves that the pages of members cover. */
  readonly leaves: number;
  /** Pages of the clients and their leaves (roster.ts). */
  readonly clients: readonly Uint8Array[];
}

/** What `full` tracking knows of the epoch that a commit begins. */
export interface FollowedState {
  readonly entered: readonly OwnedLeaf[];
  readonly left: readonly number[];
  readonly memberCount: number;
  readonly treeBytes: number;
  /** Present when the journal has grown long enough. */
  readonly snapshot?: NewSnapshot;
  readonly reinit?: { readonly groupId: Uint8Array; readonly version: number; readonly ciphersuite: number };
}

export interface SubmitProposalCommand extends JudgedEpoch {
  readonly type: "submitProposal";
  readonly message: Uint8Array;
  /** Base64url SHA-256 of the message. Not in what older nodes send. */
  readonly digest?: string;
  readonly proposalRef?: Uint8Array;
  readonly sender?: Sender;
  readonly governed: GovernedBy;
}

export interface PutGroupInfoCommand extends JudgedEpoch {
  readonly type: "putGroupInfo";
  readonly groupInfo: Uint8Array;
}

export interface SendMessageCommand {
  readonly type: "sendMessage";
  readonly epoch: string;
  readonly message: Uint8Array;
  readonly governed: GovernedBy;
}

export interface DeleteCommand {
  readonly type: "delete";
  /** Clients that are members, in pages (roster.ts); who comes meanwhile is missing. An older node does not say. */
  readonly members?: readonly Uint8Array[];
  readonly governed: GovernedBy;
}

/** A client was deleted: its leaf must go (PROTOCOL M6). */
export interface RemoveClientCommand {
  readonly type: "removeClient";
  readonly clientId: string;
}

/** Clients whose leaves were to go have none: of the state that says so. */
export interface ForgetRemovalsCommand extends JudgedEpoch {
  readonly type: "forgetRemovals";
  readonly clients: readonly string[];
}

export interface Step {
  readonly context: Partial<GroupContext>;
  readonly effects: readonly Effect[];
}

export const GROUP_INFO_PART = "groupInfo";

export const PROPOSAL_PREFIX = "proposal/";

/** In the order of arrival. Older machines left out where it stands in the log, and the digest of its bytes. */
export function proposalPart(arrived: number, offset: number, digest: string | undefined): string {
  const name = `${PROPOSAL_PREFIX}${String(arrived).padStart(6, "0")}`;
  return digest === undefined ? name : `${name}/${String(offset)}/${digest}`;
}

/** Where in the log the very same bytes stand; undefined: they are not among these parts. */
export function offsetOfProposal(parts: readonly string[], digest: string | undefined): number | undefined {
  const part = digest === undefined ? undefined : parts.find((name) => name.endsWith(`/${digest}`));
  return part === undefined ? undefined : Number(part.split("/")[2]);
}

/** A client whose Remove the back-end proposes until it is gone. */
export function removalPart(clientId: string): string {
  return `removal/${clientId}`;
}

export function leafPart(leaf: number): string {
  return `leaf/${String(leaf).padStart(10, "0")}`;
}

/** A leaf of the roster that was left and that nobody has taken since. */
export const LEAF_LEFT = new Uint8Array(0);

export function memberPart(clientId: string): string {
  return `member/${clientId}`;
}

/** Mark that tells which commit began an epoch, and where it stands in the log. */
export function epochMark(epoch: string): string {
  return `epoch/${epoch.padStart(20, "0")}`;
}

/** Mark that holds what the clients of one of a commit's Welcomes have in common. */
export function sharedWelcomeMark(commitDigest: string, of: number): string {
  return `welcome/${commitDigest}/${String(of)}`;
}

export function positionOf(context: GroupContext, lineage: string): { lineage: string; offset: number } {
  return { lineage, offset: context.window.last };
}
