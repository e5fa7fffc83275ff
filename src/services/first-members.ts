// Who is in a group when it begins: the tree's leaves and whose they are (PROTOCOL M5), or who says `as`; laid out in the
// pages in which they are stored (decision 14). In steps: what comes out, no turn has to go through member by member.
import type { Refused } from "../actors/actor-port.ts";
import type { FirstState } from "../actors/group-state.ts";
import { encodeRosterPage } from "../actors/roster.ts";
import { encodeGroupContext } from "../mls/group-context.ts";
import { groupContextOf } from "../mls/group-info.ts";
import { finishInSteps, UNITS_PER_STEP, type Work } from "../mls/work.ts";
import type { Params } from "../protocol/methods.ts";
import { broken } from "./group-checks.ts";
import type { GroupDirectory } from "./group-directory.ts";
import type { CheckedGroupInfo } from "./group-info-checks.ts";
import { clientPagesWork, leafPagesWork, pagesWork } from "./roster-pages.ts";
import { pause, refused, type ApplicationRequest } from "./service-ports.ts";
import type { TreeLeaves } from "./tree-leaves.ts";

export interface Beginning {
  readonly kind: "beginning";
  /** Clients known to be members, in pages. */
  readonly members: readonly Uint8Array[];
  /** How many they are. */
  readonly count: number;
  /** No other members are there. */
  readonly everyMember: boolean;
  readonly full: FirstState | undefined;
  /** Who signed the GroupInfo, or says so; undefined: a stranger, or nobody that is known. */
  readonly founder: string | undefined;
}

type Clients = readonly (string | undefined)[];

export class FirstMembers {
  readonly #groups: GroupDirectory;

  constructor(groups: GroupDirectory) {
    this.#groups = groups;
  }

  async find(
    request: ApplicationRequest,
    as: string | undefined,
    { info, tree }: CheckedGroupInfo,
    tracking: Params<"group.create">["tracking"],
  ): Promise<Beginning | Refused> {
    if (as !== undefined) {
      const [client] = await this.#groups.identities(request.applicationId, [as]);
      if (client === undefined) return refused("AS_MISMATCH");
    }
    if (tree === undefined) {
      if (tracking === "full")
        return broken("TREE_INVALID", "TREE_MISSING", "12.4.3.3", "full tracking begins with the tree");
      const members = as === undefined ? [] : [encodeRosterPage([as])];
      // A group has one member in its first epoch (RFC 9420 §11).
      const everyMember = as !== undefined && info.epoch === 0n;
      return { kind: "beginning", members, count: members.length, everyMember, full: undefined, founder: as };
    }
    const { leaves } = tree;
    const clients = await this.#clients(request, leaves);
    const founder = clients[leaves.indexes.indexOf(info.signer)];
    if (as !== undefined && founder !== as) return refused("AS_MISMATCH");
    const distinct = await finishInSteps(distinctWork(clients), pause);
    const count = distinct.size;
    const everyMember = count === leaves.count;
    if (tracking === "ordering") {
      const members = await finishInSteps(pagesWork([...distinct]), pause);
      return { kind: "beginning", members, count, everyMember, full: undefined, founder };
    }
    const owned = clients.reduce((sum, clientId) => sum + (clientId === undefined ? 0 : 1), 0);
    if (owned < leaves.count && !request.settings.strangers) {
      return broken("TREE_INVALID", "LEAF_CLIENT", "PROTOCOL M5", "a leaf is no client's current identity");
    }
    if (count !== owned) {
      return broken("TREE_INVALID", "ONE_LEAF_A_CLIENT", "PROTOCOL M5", "a client has two leaves");
    }
    const snapshot = {
      ...tree.stored,
      groupContext: encodeGroupContext(groupContextOf(info)),
      confirmationTag: info.confirmationTag,
    };
    const members = await finishInSteps(leafPagesWork(leaves.indexes, clients), pause);
    const full = {
      snapshot,
      leaves: (leaves.indexes.at(-1) ?? -1) + 1,
      clients: await finishInSteps(clientPagesWork(leaves.indexes, clients), pause),
    };
    return { kind: "beginning", members, count, everyMember, full, founder };
  }

  #clients(request: ApplicationRequest, leaves: TreeLeaves): Promise<Clients> {
    const { count } = leaves;
    const credential = (n: number): Uint8Array => leaves.credential(n);
    // Where the tree was judged as a joiner would, the provider has been asked about each of them.
    if (!leaves.asked)
      return this.#groups.clientsOf(
        request,
        Array.from({ length: count }, (_, n) => credential(n)),
      );
    return this.#groups.clientsHolding(request.applicationId, { count, holder: (n) => leaves.holder(n), credential });
  }
}

function* distinctWork(clients: Clients): Work<Set<string>> {
  const distinct = new Set<string>();
  for (const [n, clientId] of clients.entries()) {
    if (n % UNITS_PER_STEP === 0) yield;
    if (clientId !== undefined) distinct.add(clientId);
  }
  return distinct;
}
