// Whose the leaves are that a commit touches (PROTOCOL M5): what enters or changes its credential must be
// its client's current identity, and no client has two leaves. Untouched leaves are not judged.
import type { Refused } from "../actors/actor-port.ts";
import type { GroupContext, OwnedLeaf } from "../actors/group-state.ts";
import type { CommitFacts } from "../mls/public-group/follow-commit.ts";
import { equalBytes } from "../mls/suites.ts";
import { broken } from "./group-checks.ts";
import type { GroupDirectory } from "./group-directory.ts";
import type { ApplicationRequest, ServicePorts } from "./service-ports.ts";

export interface EnteringLeaf extends OwnedLeaf {
  /** Of Adds; an external joiner has none. */
  readonly keyPackageRef: Uint8Array | undefined;
}

/** Whose the leaves are that a commit touches. */
export interface JudgedClients {
  readonly kind: "clients";
  /** Client of the committer's leaf; undefined: a stranger's. */
  readonly committer: string | undefined;
  readonly entered: readonly EnteringLeaf[];
  /** Clients that are members no more. */
  readonly removed: readonly string[];
}

export class LeafClients {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;

  constructor(ports: ServicePorts, groups: GroupDirectory) {
    this.#ports = ports;
    this.#groups = groups;
  }

  /** M5: whose the leaves are that enter or change their credential, and that no client has two. */
  async judge(
    request: ApplicationRequest,
    context: GroupContext,
    facts: CommitFacts,
  ): Promise<JudgedClients | Refused> {
    const entered = await this.#enteringClients(request, facts);
    if (!Array.isArray(entered)) return entered;
    const changed = await this.#checkChanged(request, context, facts);
    if (changed !== undefined) return changed;
    const left = facts.left.map(({ leafIndex }) => leafIndex);
    const leftOwners = await this.owners(request, context, left);
    const doubled = await this.#memberTwice(request, context, entered, new Set(leftOwners));
    if (doubled !== undefined) return doubled;
    const [standing] = facts.external ? [] : await this.owners(request, context, [facts.committer]);
    const committer = facts.external ? entered.find(({ leaf }) => leaf === facts.committer)?.clientId : standing;
    if (facts.resynced !== undefined && !this.#comesBack(request, facts, leftOwners, committer)) {
      const rule = "a joiner removes nobody's leaf but its own former one";
      return broken("COMMIT_INVALID", "RESYNC_CLIENT", "12.4.3.2", rule);
    }
    const back = new Set(entered.map(({ clientId }) => clientId));
    const removed = leftOwners.filter((owner) => owner !== undefined && !back.has(owner)) as string[];
    return { kind: "clients", committer, entered, removed };
  }

  async #enteringClients(request: ApplicationRequest, { entered }: CommitFacts): Promise<EnteringLeaf[] | Refused> {
    const clients = await this.#groups.clientsOf(
      request,
      entered.map(({ leafNode }) => leafNode.credential),
    );
    const owned: EnteringLeaf[] = [];
    for (const [n, { leafIndex, keyPackageRef }] of entered.entries()) {
      const clientId = clients[n];
      if (clientId === undefined && !request.settings.strangers) {
        return broken(
          "COMMIT_INVALID",
          "LEAF_CLIENT",
          "PROTOCOL M5",
          "an entering leaf is no client's current identity",
        );
      }
      owned.push({ leaf: leafIndex, keyPackageRef, ...(clientId === undefined ? {} : { clientId }) });
    }
    return owned;
  }

  async #checkChanged(
    request: ApplicationRequest,
    context: GroupContext,
    { changed }: CommitFacts,
  ): Promise<Refused | undefined> {
    const renewed = changed.filter(({ before, after }) => !equalBytes(before.credential, after.credential));
    if (renewed.length === 0) return undefined;
    const owners = await this.owners(
      request,
      context,
      renewed.map(({ leafIndex }) => leafIndex),
    );
    const clients = await this.#groups.clientsOf(
      request,
      renewed.map(({ after }) => after.credential),
    );
    const provider = this.#ports.identityProviders.of(request.settings);
    const fine = renewed.every(({ before, after }, n) =>
      owners[n] === undefined
        ? clients[n] === undefined && provider.validSuccessor(before.credential, after.credential)
        : owners[n] === clients[n],
    );
    if (fine) return undefined;
    return broken(
      "COMMIT_INVALID",
      "LEAF_CLIENT",
      "PROTOCOL M5",
      "a changed credential is not its client's current identity",
    );
  }

  /** The leaf that a joiner removed was its client's; between strangers the provider decides. */
  #comesBack(
    { settings }: ApplicationRequest,
    { resynced, left, entered, committer: joined }: CommitFacts,
    leftOwners: readonly (string | undefined)[],
    joiner: string | undefined,
  ): boolean {
    const former = leftOwners[left.findIndex(({ leafIndex }) => leafIndex === resynced?.leafIndex)];
    if (former !== undefined || joiner !== undefined) return former === joiner;
    const after = entered.find(({ leafIndex }) => leafIndex === joined);
    if (resynced === undefined || after === undefined) return false;
    const provider = this.#ports.identityProviders.of(settings);
    return provider.validSuccessor(resynced.leafNode.credential, after.leafNode.credential);
  }

  async #memberTwice(
    request: ApplicationRequest,
    context: GroupContext,
    entered: readonly EnteringLeaf[],
    left: ReadonlySet<string | undefined>,
  ): Promise<Refused | undefined> {
    const clients = entered.flatMap(({ clientId }) => clientId ?? []);
    const place = this.#groups.place(request.applicationId, context);
    const standing = await this.#groups.roster.standing(place, context, clients);
    const there = clients.some((clientId, n) => standing[n] !== undefined && !left.has(clientId));
    if (!there && new Set(clients).size === clients.length) return undefined;
    return broken("COMMIT_INVALID", "ONE_LEAF_A_CLIENT", "PROTOCOL M5", "a client would have two leaves");
  }

  /** The stored clients of leaves; undefined: a stranger's, or nobody's. */
  async owners(
    { applicationId }: ApplicationRequest,
    context: GroupContext,
    leaves: readonly number[],
  ): Promise<(string | undefined)[]> {
    return this.#groups.roster.owners(this.#groups.place(applicationId, context), context, leaves);
  }
}
