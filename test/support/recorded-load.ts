// A mixed load over the real wire whose every call is recorded and judged (G1–G6): groups with contending commits,
// identities, pools; some workers wait for the one true answer, others give up early and so meet every kind of it.
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { connect, type AegisClient } from "../../src/client/client.ts";
import type { ActorAddress } from "../../src/actors/actor-port.ts";
import type { Outcome } from "./history.ts";
import { LoadFollower } from "./load-follower.ts";
import { LoadLane } from "./load-lane.ts";
import { RecordedGroup } from "./recorded-group.ts";
import { LOAD_TAG, RecordedIdentity } from "./recorded-identity.ts";
import { RecordedPool } from "./recorded-pool.ts";

export interface LoadOptions {
  readonly url: string;
  readonly operatorToken: string;
  readonly random: () => number;
  readonly workers?: number;
  /** Sessions, spread by the balancer. */
  readonly sessions?: number;
}

type Actor = RecordedGroup | RecordedIdentity | RecordedPool;

const PATIENT_MS = 30_000;
const IMPATIENT_MS = 400;
/** Of who makes actors and who judges them: a server that is killed again and again is up for a moment each time. */
const AT_LAST_MS = 120_000;
/** Of a worker that was told to come again: it does not spin. */
const REST_MS = 50;
const FULL_MS = 5;
/** In pairs of a group and an identity. */
const WORKERS_A_PAIR = 6;

export class RecordedLoad {
  readonly applicationId: string;
  /** A key of the application that the load is in. */
  readonly token: string;
  readonly #operator: AegisClient;
  readonly #clients: readonly AegisClient[];
  readonly #followers: readonly LoadFollower[];
  readonly #random: () => number;
  readonly #judging = new Set<Promise<void>>();
  readonly #groups: RecordedGroup[] = [];
  readonly #identities = new Map<string, RecordedIdentity | RecordedPool>();
  readonly #groupLanes: LoadLane<RecordedGroup>[] = [];
  readonly #lanes: LoadLane<Actor>[] = [];
  #workers: Promise<void>[] = [];
  /** Of each worker, how many it has made. */
  readonly #steps: number[] = [];
  #stopped = false;
  /** Calls that have a true answer: done or refused. */
  answered = 0;
  /** Calls of impatient workers, by how they ended without one. */
  readonly givenUp = { retryable: 0, unknown: 0 };
  /** Calls of patient workers that had none in their whole time. */
  unanswered = 0;
  /** What a worker or a judge found wrong, at once. */
  failure: unknown;

  private constructor(
    { applicationId, token }: { readonly applicationId: string; readonly token: string },
    operator: AegisClient,
    clients: readonly AegisClient[],
    random: () => number,
  ) {
    this.applicationId = applicationId;
    this.token = token;
    this.#operator = operator;
    this.#clients = clients;
    this.#followers = clients.map((client) => new LoadFollower(client));
    this.#random = random;
  }

  static async start(options: LoadOptions): Promise<RecordedLoad> {
    const { url, operatorToken, random, workers = 12, sessions = 3 } = options;
    const operator = await connect({ url, token: operatorToken, ttlMs: PATIENT_MS });
    const settings = { claimsPerHour: 1_000_000_000 };
    const { applicationId, key } = await operator.application.create({ name: "load", settings });
    const clients: AegisClient[] = [];
    while (clients.length < sessions) clients.push(await connect({ url, token: key.secret, ttlMs: AT_LAST_MS }));
    const load = new RecordedLoad({ applicationId, token: key.secret }, operator, clients, random);
    await load.#openLanes(Math.max(Math.round(workers / WORKERS_A_PAIR), 1));
    load.#workers = Array.from({ length: workers }, (_, n) =>
      load.#work(n).catch((error: unknown) => load.#fail(error)),
    );
    return load;
  }

  /** A group that commits contend for now. */
  get contendedGroup(): ActorAddress {
    const group = this.#groupLanes[0]?.current;
    assert.ok(group !== undefined);
    return { applicationId: this.applicationId, kind: "group", id: group.actorId };
  }

  /** @returns whether every worker has got through a step since this was asked for */
  allThrough(): () => boolean {
    const before = [...this.#steps];
    return () => this.#steps.every((steps, worker) => steps > (before[worker] ?? 0));
  }

  /** Lets what is on its way end. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    this.#throwIfFailed();
  }

  /** Everything is judged: what is not yet, and once more what was. */
  async check(): Promise<void> {
    for (const lane of this.#lanes) lane.close();
    await Promise.all(this.#judging);
    this.#throwIfFailed();
    const client = this.#client(0);
    for (const group of this.#groups) await group.judgeAgain(client);
    await this.#checkIdentities(client);
  }

  async close(): Promise<void> {
    for (const follower of this.#followers) follower.close();
    await Promise.all([...this.#clients, this.#operator].map((client) => client.close()));
  }

  async #openLanes(count: number): Promise<void> {
    const over = (actor: Actor): void => this.#over(actor);
    const open = async <A extends Actor>(make: (client: AegisClient) => Promise<A>): Promise<LoadLane<A>> => {
      const lane = await LoadLane.open<A>({ make, over }, this.#client(this.#lanes.length));
      // Whoever takes a turn asks nothing of an actor but what all kinds have.
      this.#lanes.push(lane);
      return lane;
    };
    for (let n = 0; n < count; n += 1) {
      this.#groupLanes.push(await open((client) => this.#makeGroup(client)));
      await open((client) => this.#kept(RecordedIdentity.create(client)));
    }
    await open((client) => this.#kept(RecordedPool.create(client)));
  }

  async #makeGroup(client: AegisClient): Promise<RecordedGroup> {
    const follower = this.#followers[(this.#groups.length + 1) % this.#followers.length] as LoadFollower;
    const group = await RecordedGroup.create(client, follower);
    this.#groups.push(group);
    return group;
  }

  async #kept<A extends RecordedIdentity | RecordedPool>(made: Promise<A>): Promise<A> {
    const actor = await made;
    this.#identities.set(actor.clientId, actor);
    return actor;
  }

  async #work(worker: number): Promise<void> {
    const isPatient = worker % 2 === 0;
    const ttlMs = isPatient ? PATIENT_MS : IMPATIENT_MS;
    // Each keeps its session, so that one that stands still holds up its own workers alone.
    const client = this.#client(Math.floor(worker / 2));
    this.#steps[worker] = 0;
    for (let round = 0; !this.#stopped; round += 1) {
      const lane = this.#freeLane(worker + round);
      if (lane === undefined) {
        await delay(FULL_MS);
        continue;
      }
      const actor = await lane.take(client);
      const outcome = await actor.step({ client, worker, ttlMs, choice: this.#random() });
      await this.#count(outcome, isPatient);
      this.#steps[worker] = (this.#steps[worker] ?? 0) + 1;
    }
  }

  #freeLane(from: number): LoadLane<Actor> | undefined {
    const lanes = this.#lanes.map((_, n) => this.#lanes[(from + n) % this.#lanes.length] as LoadLane<Actor>);
    return lanes.find((lane) => !lane.full);
  }

  async #count(outcome: Outcome, isPatient: boolean): Promise<void> {
    if (outcome.kind === "result" || outcome.kind === "refused") {
      this.answered += 1;
      return;
    }
    if (isPatient) this.unanswered += 1;
    else this.givenUp[outcome.kind] += 1;
    await delay(REST_MS);
  }

  #over(actor: Actor): void {
    const judged: Promise<void> = this.#judge(actor)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#judging.delete(judged));
    this.#judging.add(judged);
  }

  async #judge(actor: Actor): Promise<void> {
    // First of all a pause: a worker may have been given it in this very tick.
    do await delay(20);
    while (!actor.history.quiet);
    await actor.judge(this.#client(0));
  }

  /** Each identity is found by its tag, once, none that nobody made, and none has gone back. */
  async #checkIdentities(client: AegisClient): Promise<void> {
    const found = new Map<string, { readonly version: number }>();
    let cursor: string | undefined;
    do {
      const page = await client.identity.find({
        all: [LOAD_TAG],
        limit: 1000,
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const record of page.clients) {
        assert.ok(!found.has(record.clientId), `${record.clientId} is found twice`);
        assert.ok(this.#identities.has(record.clientId), `[G6] ${record.clientId} was made by no call`);
        found.set(record.clientId, record);
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    for (const [clientId, actor] of this.#identities) {
      if (actor instanceof RecordedIdentity) actor.judgeAgain(found.get(clientId));
      else assert.ok(found.has(clientId), `[G3] ${clientId} is gone`);
    }
  }

  #client(n: number): AegisClient {
    return this.#clients[n % this.#clients.length] as AegisClient;
  }

  #fail(error: unknown): void {
    this.failure ??= error;
    this.#stopped = true;
  }

  #throwIfFailed(): void {
    this.failure ??= this.#followers.find(({ failure }) => failure !== undefined)?.failure;
    if (this.failure !== undefined) throw this.failure;
  }
}
