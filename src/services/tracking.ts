// How a group is tracked: what a judge of handshakes answers, whichever it is. Types only.
import type { Refused } from "../actors/actor-port.ts";
import type { Sender, SubmitCommitCommand } from "../actors/group-state.ts";
import type { GroupMessage } from "../mls/framing.ts";
import type { Params } from "../protocol/methods.ts";
import type { GroupHead } from "./group-directory.ts";
import type { ApplicationRequest } from "./service-ports.ts";

export interface JudgedCommit {
  readonly kind: "judged";
  readonly sender: Sender | undefined;
  readonly command: Pick<
    SubmitCommitCommand,
    "external" | "resync" | "externalProposals" | "added" | "sharedWelcomes" | "removed" | "groupInfo" | "tree" | "full"
  >;
  /** Welcomes whose recipients the back-end does not know. */
  readonly undelivered: readonly { readonly keyPackageRef: Uint8Array; readonly welcome: Uint8Array }[];
  /** The commit won its epoch. @param digest base64 SHA-256 of it */
  accepted(digest: string): void;
}

export interface JudgedProposal {
  readonly kind: "judged";
  readonly sender: Sender | undefined;
  /** Absent where it can't be computed without secrets. */
  readonly proposalRef: Uint8Array | undefined;
}

export interface Tracking {
  commit(
    request: ApplicationRequest,
    params: Params<"group.commit">,
    head: GroupHead,
    message: GroupMessage,
  ): Promise<JudgedCommit | Refused>;
  propose(
    request: ApplicationRequest,
    params: Params<"group.propose">,
    head: GroupHead,
    message: GroupMessage,
  ): Promise<JudgedProposal | Refused>;
  /** Whether `as` may send to the group. */
  send(request: ApplicationRequest, params: Params<"group.send">, head: GroupHead): Promise<Refused | undefined>;
}
