// One identity under load: tags that are put one for the other, some only if the version is still the same, and reads
// of the record. Judged by a search for an order, and once more at the very end.
import { randomUUID } from "node:crypto";
import type { AegisClient } from "../../src/client/client.ts";
import { answeredAtLast } from "./answered-at-last.ts";
import { basicCredential } from "./app-world.ts";
import { foldUnread, identityModel, type IdentityRecord } from "./history-models.ts";
import { FlawedHistory, History, type Outcome } from "./history.ts";
import { findOrder } from "./linearizability.ts";
import { outcomeOf } from "./load-outcome.ts";
import type { LoadStep } from "./load-step.ts";

/** The tag that every identity of a load has. */
export const LOAD_TAG = "load";

export class RecordedIdentity {
  readonly history: History;
  readonly clientId: string;
  readonly #initial: IdentityRecord;
  #version: number;
  #tags = 0;
  #judged: IdentityRecord | undefined;

  private constructor(clientId: string, initial: IdentityRecord) {
    this.clientId = clientId;
    this.history = new History(`identity-${clientId}`);
    this.#initial = initial;
    this.#version = initial.version;
  }

  static async create(client: AegisClient): Promise<RecordedIdentity> {
    const tag = `t:${randomUUID()}`;
    const clientIdentity = basicCredential(randomUUID());
    const { clientId, version } = await answeredAtLast((options) =>
      client.identity.create({ clientIdentity, tags: [LOAD_TAG, tag] }, options),
    );
    return new RecordedIdentity(clientId, { version, tag });
  }

  get actorId(): string {
    return this.clientId;
  }

  async step({ client, worker, ttlMs, choice }: LoadStep): Promise<Outcome> {
    const outcome = await (choice < 0.35
      ? this.#get(client, worker, ttlMs)
      : this.#update(client, worker, ttlMs, choice));
    if (outcome.kind === "result" || outcome.kind === "refused") {
      this.#version = Math.max(this.#version, Number(outcome.facts["version"] ?? 0));
    }
    return outcome;
  }

  /** @throws FlawedHistory */
  async judge(client: AegisClient): Promise<void> {
    const last = await this.#get(client, 0);
    const { operations } = this.history;
    const verdict = findOrder(identityModel(this.#initial), foldUnread(operations));
    if (verdict.kind === "impossible") {
      const flaws = [`[G4] no order: ${JSON.stringify(verdict.stuck.slice(0, 2))}`];
      throw new FlawedHistory(this.history.actor, flaws, { initial: this.#initial, operations });
    }
    if (last.kind !== "result") throw new Error(`${this.history.actor} can't be read: ${last.kind}`);
    this.#judged = { version: Number(last.facts["version"]), tag: String(last.facts["tag"]) };
    this.history.forget();
  }

  /** What was judged is still there, or a later version of it. @throws FlawedHistory */
  judgeAgain(record: { readonly version: number } | undefined): void {
    if (record !== undefined && record.version >= (this.#judged?.version ?? 0)) return;
    const flaws = ["[G3] the record has gone back since it was judged"];
    throw new FlawedHistory(this.history.actor, flaws, { judged: this.#judged, record });
  }

  #get(client: AegisClient, worker: number, ttlMs?: number): Promise<Outcome> {
    const options = ttlMs === undefined ? {} : { ttlMs };
    return this.history.record({ name: "get", input: {}, worker }, () =>
      outcomeOf(client.identity.get({ clientIds: [this.clientId] }, options), ({ clients: [record] }) => {
        if (record === undefined || "error" in record) throw new Error(`[G3] ${this.history.actor} is gone`);
        return { version: record.version, tag: record.tags.find((tag) => tag !== LOAD_TAG) ?? "" };
      }),
    );
  }

  #update(client: AegisClient, worker: number, ttlMs: number, choice: number): Promise<Outcome> {
    const tag = `t:${(this.#tags += 1)}`;
    const compared = choice < 0.7 ? { ifVersion: this.#version } : {};
    const set = { clientId: this.clientId, tags: { set: [LOAD_TAG, tag] }, ...compared };
    return this.history.record({ name: "update", input: { tag, ...compared }, worker }, () =>
      outcomeOf(client.identity.update(set, { ttlMs }), ({ version }) => ({ version })),
    );
  }
}
