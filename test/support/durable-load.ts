// A mixed load over the real wire whose every answer is remembered, and afterwards held against the
// server's state: what was acknowledged is there once, and nothing twice (G1 G2 G3 G6 G8).
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { AegisError, connect, type AegisClient } from "../../src/client/client.ts";
import { MlsClient } from "./mls-client.ts";
import { opaqueMessage } from "./opaque-messages.ts";

export interface LoadOptions {
  readonly url: string;
  readonly operatorToken: string;
  /** KeyPackages made beforehand; each is claimed at most once. */
  readonly packages: number;
}

interface Sent {
  readonly message: Uint8Array;
  readonly offset: number;
}

const TTL_MS = 30_000;
const WORKERS = 8;

export class DurableLoad {
  readonly #client: AegisClient;
  readonly #operator: AegisClient;
  readonly #groupId: Uint8Array;
  readonly #poolOwner: string;
  readonly #identities = new Map<string, string>();
  readonly #sent: Sent[] = [];
  readonly #winners = new Map<bigint, Uint8Array>();
  readonly #claims = new Map<string, string>();
  readonly #given: Set<string>;
  #epoch = 0n;
  #stopped = false;
  #workers: Promise<void>[] = [];
  answered = 0;
  unanswered = 0;
  /** What a worker found wrong, at once. */
  failure: unknown;

  private constructor(
    operator: AegisClient,
    client: AegisClient,
    groupId: Uint8Array,
    poolOwner: string,
    given: Set<string>,
  ) {
    this.#operator = operator;
    this.#client = client;
    this.#groupId = groupId;
    this.#poolOwner = poolOwner;
    this.#given = given;
  }

  static async start({ url, operatorToken, packages }: LoadOptions): Promise<DurableLoad> {
    const operator = await connect({ url, token: operatorToken, ttlMs: TTL_MS });
    const settings = { claimsPerHour: 1_000_000, keyPoolMax: 10_000 };
    const { key } = await operator.application.create({ name: "load", settings });
    const client = await connect({ url, token: key.secret, ttlMs: TTL_MS });
    const member = await MlsClient.create({ identity: "pool-owner" });
    const { clientId } = await client.identity.create({ clientIdentity: member.credential });
    const refs = new Set<string>();
    for (let made = 0; made < packages; made += 100) {
      const batch = await Promise.all(
        Array.from({ length: Math.min(100, packages - made) }, () => member.createKeyPackage()),
      );
      await client.keyPool.publish({ clientId, keyPackages: batch.map(({ message }) => message) });
      for (const { ref } of batch) refs.add(Buffer.from(ref).toString("hex"));
    }
    const groupId = Buffer.from(randomUUID());
    const group = await member.createGroup(groupId);
    const groupInfo = await group.groupInfo();
    await client.group.create({ groupInfo, tracking: "ordering", as: clientId, settings: { externalJoin: "none" } });
    const load = new DurableLoad(operator, client, groupId, clientId, refs);
    load.#workers = Array.from({ length: WORKERS }, (_, n) =>
      load.#work(n).catch((error: unknown) => {
        load.failure ??= error;
      }),
    );
    return load;
  }

  /** Lets what is on its way end. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    if (this.failure !== undefined) throw this.failure;
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#operator.close()]);
  }

  /** Every acknowledged write is there, and nothing more than was sent. */
  async check(): Promise<void> {
    await this.#checkIdentities();
    await this.#checkLog();
    this.#checkClaims();
  }

  async #work(worker: number): Promise<void> {
    for (let round = 0; !this.#stopped; round += 1) {
      const step = [this.#createIdentity, this.#send, this.#claim, this.#commit][(worker + round) % 4];
      try {
        await step?.call(this, `${String(worker)}-${String(round)}`);
        this.answered += 1;
      } catch (error) {
        // Only "nobody could tell in time" may leave a call without its true answer, and only after its whole time.
        if (!(error instanceof AegisError)) throw error;
        this.unanswered += 1;
        if (!error.retryable && error.reason !== "DEADLINE_EXCEEDED") throw error;
      }
    }
  }

  async #createIdentity(id: string): Promise<void> {
    const identity = Buffer.from(`client-${id}`);
    const clientIdentity = Buffer.concat([Uint8Array.of(0, 1, identity.length), identity]);
    const { clientId } = await this.#client.identity.create({ clientIdentity, tags: ["load", `id:${id}`] });
    assert.ok(!this.#identities.has(clientId), "one client id for two clients");
    this.#identities.set(clientId, id);
  }

  async #send(): Promise<void> {
    const message = opaqueMessage(this.#groupId, this.#epoch, "application");
    try {
      const { position } = await this.#client.group.send({ groupId: this.#groupId, message });
      this.#sent.push({ message, offset: position.offset });
    } catch (error) {
      // The epoch may have moved on by more than one while this waited.
      if (!(error instanceof AegisError && error.reason === "EPOCH_STALE")) throw error;
    }
  }

  async #claim(id: string): Promise<void> {
    const { claimed } = await this.#client.keyPool.claim({ targets: [{ clientId: this.#poolOwner }] });
    for (const { keyPackageRef, lastResort } of claimed) {
      assert.equal(lastResort, false);
      const ref = Buffer.from(keyPackageRef).toString("hex");
      assert.ok(this.#given.has(ref), "a package that nobody published");
      assert.equal(this.#claims.get(ref), undefined, "[G2] a package was handed out twice");
      this.#claims.set(ref, id);
    }
  }

  async #commit(): Promise<void> {
    const epoch = this.#epoch;
    const commit = opaqueMessage(this.#groupId, epoch, "commit");
    try {
      const result = await this.#client.group.commit({ groupId: this.#groupId, commit });
      assert.equal(result.epoch, epoch + 1n);
      assert.equal(this.#winners.get(epoch), undefined, "[G1] two commits won one epoch");
      this.#winners.set(epoch, commit);
      if (this.#epoch < result.epoch) this.#epoch = result.epoch;
    } catch (error) {
      if (!(error instanceof AegisError) || error.reason !== "EPOCH_CONFLICT") throw error;
      // Off the wire a small epoch is a number.
      const current = BigInt((error.details as { epoch: number | bigint }).epoch);
      if (this.#epoch < current) this.#epoch = current;
    }
  }

  async #checkIdentities(): Promise<void> {
    const found = new Set<string>();
    let cursor: string | undefined;
    do {
      const page = await this.#client.identity.find({
        all: ["load"],
        limit: 1000,
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const { clientId, tags } of page.clients) {
        assert.ok(!found.has(clientId));
        found.add(clientId);
        const id = this.#identities.get(clientId);
        if (id !== undefined) assert.deepEqual([...tags].sort(), [`id:${id}`, "load"].sort());
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    for (const clientId of this.#identities.keys())
      assert.ok(found.has(clientId), `[G3] an acknowledged client is gone: ${clientId}`);
    // Each call was retried until it had its answer, so there is no client that nobody knows of.
    assert.ok(found.size <= this.#identities.size + this.unanswered, "[G6] clients that no call accounts for");
  }

  async #checkLog(): Promise<void> {
    const byOffset = new Map<number, { type: string; message: string }>();
    const times = new Map<string, number>();
    let after: "start" | { lineage: string; offset: number } = "start";
    for (let more = true, expected = 1; more;) {
      const page = await this.#client.stream.read({ kind: "group", id: this.#groupId, after, limit: 1000 });
      assert.equal(page.recovered, true);
      for (const [offset, , type, body] of page.events) {
        assert.equal(offset, expected, "[G5] the log has no hole");
        expected += 1;
        const message = Buffer.from((body as { message: Uint8Array }).message).toString("hex");
        byOffset.set(offset, { type, message });
        times.set(message, (times.get(message) ?? 0) + 1);
      }
      after = page.position;
      more = page.more;
    }
    for (const { message, offset } of this.#sent) {
      assert.equal(
        byOffset.get(offset)?.message,
        Buffer.from(message).toString("hex"),
        `[G3] message at ${String(offset)}`,
      );
    }
    for (const count of times.values()) assert.equal(count, 1, "[G6] a retried message is in the log once");
    const commits = [...byOffset.values()].filter(({ type }) => type === "commit").map(({ message }) => message);
    for (const [epoch, commit] of this.#winners) {
      assert.equal(
        commits[Number(epoch)],
        Buffer.from(commit).toString("hex"),
        `[G1] epoch ${String(epoch)} has another winner`,
      );
    }
  }

  #checkClaims(): void {
    assert.ok(this.#claims.size <= this.#given.size);
  }
}
