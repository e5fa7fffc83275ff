// One pool of one-time KeyPackages under load: claimed by many at once until it is empty. Judged by what is left.
import { randomUUID } from "node:crypto";
import type { AegisClient } from "../../src/client/client.ts";
import { answeredAtLast } from "./answered-at-last.ts";
import { FlawedHistory, History, type Outcome } from "./history.ts";
import { poolFlaws } from "./history-checker.ts";
import { outcomeOf } from "./load-outcome.ts";
import { LOAD_TAG } from "./recorded-identity.ts";
import type { LoadStep } from "./load-step.ts";
import { buildKeyPackage, credentialOf, newMember } from "./synthetic-structs.ts";

const PACKAGES = 40;
const HOUR_SECONDS = 3600n;
const AGAIN_MS = 20;

export class RecordedPool {
  readonly history: History;
  readonly clientId: string;

  private constructor(clientId: string) {
    this.clientId = clientId;
    this.history = new History(`pool-${clientId}`);
  }

  static async create(client: AegisClient): Promise<RecordedPool> {
    const member = newMember(randomUUID());
    const clientIdentity = credentialOf(member);
    const { clientId } = await answeredAtLast((options) =>
      client.identity.create({ clientIdentity, tags: [LOAD_TAG] }, options),
    );
    const pool = new RecordedPool(clientId);
    const nowSeconds = BigInt(Math.floor(Date.now() / 1000));
    const leaf = { notBefore: nowSeconds - HOUR_SECONDS, notAfter: nowSeconds + 24n * HOUR_SECONDS };
    const packages = Array.from({ length: PACKAGES }, () => buildKeyPackage(member, { leaf }));
    const refs = packages.map(({ ref }) => Buffer.from(ref).toString("hex")).join(" ");
    const published = await pool.history.record({ name: "publish", input: { refs }, worker: 0 }, () =>
      outcomeOf(
        answeredAtLast(
          (options) =>
            client.keyPool.publish({ clientId, keyPackages: packages.map(({ message }) => message) }, options),
          true,
        ),
        (answer) => ({
          rejected: answer.rejected.length,
        }),
      ),
    );
    if (published.kind === "result" && published.facts["rejected"] === 0) return pool;
    throw new Error(`the pool was not filled: ${JSON.stringify(published)}`);
  }

  get actorId(): string {
    return this.clientId;
  }

  /** A claim names its failures in its result: what may be asked again is asked again, under the same key. */
  step({ client, worker, ttlMs }: LoadStep): Promise<Outcome> {
    const key = randomUUID();
    const until = performance.now() + ttlMs;
    return this.history.record({ name: "claim", input: {}, worker }, async () => {
      for (let unsure = false; ; await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))) {
        const leftMs = Math.max(until - performance.now(), 1);
        const outcome = await this.#claim(client, key, leftMs);
        if (outcome.kind === "result" || outcome.kind === "refused") return outcome;
        unsure ||= outcome.kind === "unknown";
        if (performance.now() + AGAIN_MS >= until) return unsure ? { kind: "unknown" } : outcome;
      }
    });
  }

  /** @throws FlawedHistory */
  async judge(client: AegisClient): Promise<void> {
    const { keyPackages } = await client.keyPool.list({ clientId: this.clientId });
    const left = keyPackages.map(({ keyPackageRef }) => Buffer.from(keyPackageRef).toString("hex"));
    const { operations } = this.history;
    const flaws = poolFlaws(operations, left);
    if (flaws.length > 0) throw new FlawedHistory(this.history.actor, flaws, { operations, left });
    this.history.forget();
  }

  async #claim(client: AegisClient, key: string, ttlMs: number): Promise<Outcome> {
    let failure: string | undefined;
    const outcome = await outcomeOf(
      client.keyPool.claim({ targets: [{ clientId: this.clientId }] }, { key, ttlMs }),
      ({ claimed: [claimed], failed: [failed] }) => {
        failure = failed?.reason;
        return claimed === undefined ? {} : { ref: Buffer.from(claimed.keyPackageRef).toString("hex") };
      },
    );
    if (failure === undefined) return outcome;
    if (failure === "OUTCOME_UNKNOWN") return { kind: "unknown" };
    if (failure === "UNAVAILABLE") return { kind: "retryable", reason: failure };
    return { kind: "refused", reason: failure, facts: {} };
  }
}
