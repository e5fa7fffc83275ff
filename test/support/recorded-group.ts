// One group under load: commits that contend, messages, reads of its head, and a subscriber from the start. Judged by
// its log once it is quiet, and once more at the very end.
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { AegisClient } from "../../src/client/client.ts";
import { groupActorId } from "../../src/services/service-ports.ts";
import { foundGroup } from "./found-group.ts";
import { groupFlaws, type LogEntry } from "./history-checker.ts";
import { groupModel, settleByLog } from "./history-models.ts";
import { FlawedHistory, History, type Outcome } from "./history.ts";
import { findOrder } from "./linearizability.ts";
import type { LoadFollower } from "./load-follower.ts";
import { outcomeOf } from "./load-outcome.ts";
import { messageId } from "./message-id.ts";
import { opaqueMessage } from "./opaque-messages.ts";
import type { LoadStep } from "./load-step.ts";

const LOG_READS_MAX = 20;
const LOG_READ_AGAIN_MS = 100;

export class RecordedGroup {
  readonly history: History;
  readonly groupId: Uint8Array;
  #seen: readonly LogEntry[];
  readonly #follower: LoadFollower;
  #epoch = 0;
  #judged: { readonly entries: number; readonly digest: string } | undefined;

  private constructor(groupId: Uint8Array, follower: LoadFollower, seen: readonly LogEntry[]) {
    this.groupId = groupId;
    this.history = new History(`group-${Buffer.from(groupId).toString("hex")}`);
    this.#follower = follower;
    this.#seen = seen;
  }

  static async create(client: AegisClient, follower: LoadFollower): Promise<RecordedGroup> {
    const groupId = await foundGroup(client);
    return new RecordedGroup(groupId, follower, follower.follow(groupId));
  }

  /** The actor's id within its application. */
  get actorId(): string {
    return groupActorId(this.groupId);
  }

  /** What its subscriber was given so far. */
  get seen(): readonly LogEntry[] {
    return this.#seen;
  }

  async step({ client, worker, ttlMs, choice }: LoadStep): Promise<Outcome> {
    const { groupId } = this;
    if (choice < 0.2) {
      return this.history.record({ name: "head", input: {}, worker }, () =>
        outcomeOf(client.group.get({ groupId }, { ttlMs }), ({ epoch, position }) => ({
          epoch: Number(epoch),
          offset: position.offset,
        })),
      );
    }
    const name = choice < 0.6 ? "commit" : "send";
    // Now and then a message that comes too late.
    const epoch = choice > 0.97 ? Math.max(this.#epoch - 3, 0) : this.#epoch;
    const message = opaqueMessage(groupId, BigInt(epoch), name === "commit" ? "commit" : "application");
    const input = { id: messageId(message), epoch };
    const outcome = await this.history.record({ name, input, worker }, () =>
      name === "commit"
        ? outcomeOf(client.group.commit({ groupId, commit: message }, { ttlMs }), (won) => ({
            epoch: Number(won.epoch),
            offset: won.position.offset,
          }))
        : outcomeOf(client.group.send({ groupId, message }, { ttlMs }), ({ position }) => ({
            offset: position.offset,
          })),
    );
    if (outcome.kind === "result" || outcome.kind === "refused") {
      this.#epoch = Math.max(this.#epoch, Number(outcome.facts["epoch"] ?? 0));
    }
    return outcome;
  }

  /** @throws FlawedHistory */
  async judge(client: AegisClient): Promise<void> {
    const log = await this.#settledLog(client);
    const { operations } = this.history;
    const flaws = groupFlaws(operations, log, [this.#seen]);
    const verdict = findOrder(groupModel({ epoch: 0, offset: 0 }), settleByLog(operations, log));
    if (verdict.kind === "impossible") flaws.push(`[G4] no order: ${JSON.stringify(verdict.stuck.slice(0, 2))}`);
    if (flaws.length > 0) throw new FlawedHistory(this.history.actor, flaws, { operations, log, seen: this.#seen });
    this.#judged = { entries: log.length, digest: digestOf(log) };
    this.#follower.leave(this.groupId);
    this.#seen = [];
    this.history.forget();
  }

  /** What was judged is still there. @throws FlawedHistory */
  async judgeAgain(client: AegisClient): Promise<void> {
    const log = await this.#readLog(client);
    const { entries = 0, digest } = this.#judged ?? {};
    if (digestOf(log.slice(0, entries)) === digest) return;
    throw new FlawedHistory(this.history.actor, ["[G3] the log has changed since it was judged"], { entries, log });
  }

  /**
   * The log, when the subscriber has it. What nobody waits for any more may be applied late: by a node that stood still,
   * say. Then the log is read again; an event that no log ever has stays a flaw.
   */
  async #settledLog(client: AegisClient): Promise<LogEntry[]> {
    for (let read = 1; ; read += 1) {
      const log = await this.#readLog(client);
      await this.#follower.reached(this.groupId, log.length);
      if (this.#seen.length <= log.length || read === LOG_READS_MAX) return log;
      await delay(LOG_READ_AGAIN_MS);
    }
  }

  async #readLog(client: AegisClient): Promise<LogEntry[]> {
    const log: LogEntry[] = [];
    let after: "start" | { lineage: string; offset: number } = "start";
    for (let more = true; more;) {
      const page = await client.stream.read({ kind: "group", id: this.groupId, after, limit: 1000 });
      if (!page.recovered) throw new FlawedHistory(this.history.actor, ["[G5] the log is broken"], { log });
      for (const [offset, , type, body] of page.events) {
        log.push({ offset, type, id: messageId((body as { message: Uint8Array }).message) });
      }
      after = page.position;
      more = page.more;
    }
    return log;
  }
}

function digestOf(log: readonly LogEntry[]): string {
  return createHash("sha256").update(JSON.stringify(log)).digest("hex");
}
