// The back-end's own Remove proposals (PROTOCOL M6): after a client was deleted, into each group whose
// external_senders hold the application's key, again in every epoch that leaves the client in.
import { createHash } from "node:crypto";
import type { Command } from "../actors/actor-port.ts";
import { removalPart, type GroupContext, type JudgedEpoch } from "../actors/group-state.ts";
import { proposalRef, readGroupMessage, type PublicProposal } from "../mls/framing.ts";
import type { PublicGroup } from "../mls/public-group/public-group.ts";
import { equalBytes } from "../mls/suites.ts";
import type { Settings } from "../protocol/schemas/application.ts";
import type { ApplicationDirectory } from "./application-directory.ts";
import type { ExternalSenders } from "./external-senders.ts";
import { judgedEpoch, type GroupDirectory } from "./group-directory.ts";
import type { GroupFollower } from "./group-follower.ts";
import type { ServicePorts } from "./service-ports.ts";

export interface RemovalsOptions {
  readonly ports: ServicePorts;
  readonly directory: ApplicationDirectory;
  readonly groups: GroupDirectory;
  readonly follower: GroupFollower;
  readonly senders: ExternalSenders;
}

/** Removals proposed in one epoch; the rest follow in the next. */
const REMOVALS_MAX = 256;
const SUBMIT_MS = 10_000;

export class Removals {
  readonly #options: RemovalsOptions;

  constructor(options: RemovalsOptions) {
    this.#options = options;
  }

  /** Rejects when it must be asked again: the store is away, or an outcome is not known. */
  async propose(applicationId: string, groupId: Uint8Array): Promise<void> {
    const { directory, groups, follower, senders } = this.#options;
    const settings = await directory.settings(applicationId);
    const head = await groups.head(applicationId, groupId);
    if (settings === undefined || head?.state !== "active" || head.context.tracking !== "full") return;
    const group = await follower.current(applicationId, head.context, settings);
    const key = await senders.key(applicationId, group.ciphersuite);
    if (key === undefined) return;
    const senderIndex = group.externalSenders.findIndex(({ signatureKey }) => equalBytes(signatureKey, key.publicKey));
    if (senderIndex === -1) return;
    for (const removed of await this.#leavesToGo(applicationId, head.context)) {
      const { epoch } = group;
      await this.#submit(
        applicationId,
        { group, judged: judgedEpoch(head.context) },
        settings,
        removed,
        key.signRemove({ groupId, epoch, senderIndex, removed }),
      );
    }
  }

  async #leavesToGo(applicationId: string, context: GroupContext): Promise<number[]> {
    const { ports, groups } = this.#options;
    const { shard, actor } = groups.place(applicationId, context);
    const leaves: number[] = [];
    for (let after = {}; ;) {
      const query = { prefix: removalPart(""), limit: REMOVALS_MAX, ...after };
      const removals = await ports.store.listParts(shard, actor, query);
      const clients = removals.map(({ name }) => name.slice(removalPart("").length));
      const standing = await groups.roster.standing({ shard, actor }, context, clients);
      leaves.push(...standing.flatMap((member) => member?.leaf ?? []));
      await this.#forget(
        applicationId,
        context,
        clients.filter((_, n) => standing[n] === undefined),
      );
      const last = removals.at(-1);
      if (last === undefined || removals.length < REMOVALS_MAX || leaves.length >= REMOVALS_MAX) {
        return leaves.slice(0, REMOVALS_MAX);
      }
      after = { after: last.name };
    }
  }

  /** They would stand before others for ever. What goes wrong here is done with the next removals. */
  async #forget(applicationId: string, context: GroupContext, clients: readonly string[]): Promise<void> {
    if (clients.length === 0) return;
    const { ports, groups } = this.#options;
    await ports.actors.call({
      to: groups.address(applicationId, Buffer.from(context.groupId, "base64")),
      command: { type: "forgetRemovals", ...judgedEpoch(context), clients } as Command,
      deadline: performance.now() + SUBMIT_MS,
    });
  }

  /** Under a key of its own, so that a duty delivered twice proposes once. */
  async #submit(
    applicationId: string,
    { group, judged }: { readonly group: PublicGroup; readonly judged: JudgedEpoch },
    settings: Settings,
    removed: number,
    message: Uint8Array,
  ): Promise<void> {
    const { ports, groups } = this.#options;
    const decoded = readGroupMessage(message);
    if (decoded.kind !== "ok") throw new Error("the back-end's own proposal can't be read");
    const command = {
      type: "submitProposal",
      ...judged,
      message,
      digest: createHash("sha256").update(message).digest("base64url"),
      proposalRef: proposalRef(decoded.value as PublicProposal, group.ciphersuite),
      sender: { type: "external" },
      governed: settings,
    };
    const name = `removal/${String(group.epoch)}/${String(removed)}`;
    const outcome = await ports.actors.call({
      to: groups.address(applicationId, group.groupId),
      command,
      key: { key: name, digest: createHash("sha256").update(name).digest("hex") },
      deadline: performance.now() + SUBMIT_MS,
    });
    // An epoch that went on brings the duty again by itself.
    if (outcome.kind === "refused" && outcome.refusal.retryable && outcome.refusal.reason !== "EPOCH_CONFLICT") {
      throw new Error(outcome.refusal.reason);
    }
  }
}
