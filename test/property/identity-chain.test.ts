// The chain behind identity.create, update and delete under random interleavings, faults of the store and
// restarts: a handle has one holder, what was acknowledged is found, and nothing is left half done (G3, G8, F24).
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { HandleContext } from "../../src/actors/handle-machine.ts";
import type { IdentityContext } from "../../src/actors/identity-machine.ts";
import { IdentityProviders } from "../../src/services/identity-provider-choice.ts";
import { IdentityService } from "../../src/services/identity-service.ts";
import type { Answer } from "../../src/services/request-port.ts";
import { handleActorId, readRecords, type ApplicationRequest } from "../../src/services/service-ports.ts";
import { TagDirectory } from "../../src/services/tag-directory.ts";
import { encode } from "../../src/protocol/codec.ts";
import type { MethodName } from "../../src/protocol/methods.ts";
import { SETTINGS } from "../support/actor-commands.ts";
import { APPLICATION, until } from "../support/actor-world.ts";
import { Deployment } from "../support/deployment.ts";
import { writeFaultPlan } from "../support/fault-plan.ts";
import { startRedis, type RedisServer } from "../support/redis-server.ts";
import { seedOf } from "../support/seed.ts";

const HANDLES = ["ann", "bob"];
/** Longer than a reservation stays unsettled. */
const SETTLED_AFTER_MS = 50_000;

type Action =
  | { readonly kind: "create"; readonly handle: number }
  | { readonly kind: "update"; readonly client: number; readonly handle: number }
  | { readonly kind: "retag"; readonly client: number }
  | { readonly kind: "delete"; readonly client: number }
  | { readonly kind: "settle" }
  | { readonly kind: "kill" };

const handle = fc.nat(HANDLES.length - 1);
const client = fc.nat(2);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("create" as const), handle }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("update" as const), client, handle }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("retag" as const), client }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), client }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("settle" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("kill" as const) }) },
);

interface Known {
  readonly clientId: string;
  readonly tag: string;
  /** A delete was sent: only its answer says what became of it. */
  deleting: boolean;
  deleted: boolean;
}

class Players {
  readonly clients: Known[] = [];
  /** Every id that was ever proposed: whatever exists is among them. */
  readonly #proposed = new Set<string>();
  readonly #deployment: Deployment;
  readonly #service: IdentityService;
  readonly #tags: TagDirectory;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
    const { store, clock } = deployment.world;
    const ports = {
      store,
      clock,
      identityProviders: new IdentityProviders(),
      actors: { call: (call: Parameters<typeof deployment.host.call>[0]) => deployment.host.call(call) },
      newId: () => {
        const id = randomUUID();
        this.#proposed.add(id);
        return id;
      },
      turn: () => Promise.resolve(),
    };
    this.#tags = new TagDirectory(ports);
    this.#service = new IdentityService(ports, this.#tags, { credentialBytesMax: 65_536 });
  }

  async act(one: Action): Promise<void> {
    switch (one.kind) {
      case "create":
        return this.#create(HANDLES[one.handle] as string);
      case "update":
        return this.#update(one.client, HANDLES[one.handle] as string);
      case "retag":
        return this.#retag(one.client);
      case "delete":
        return this.#delete(one.client);
      case "settle":
        this.#deployment.world.jump(SETTLED_AFTER_MS);
        return;
      case "kill":
        return this.#deployment.kill();
    }
  }

  async #create(name: string): Promise<void> {
    const tag = randomUUID();
    const params = { clientIdentity: credential(name), tags: [tag] };
    const create = (request: ApplicationRequest): Promise<Answer> => this.#service.create(request, params);
    const key = randomUUID();
    const answer = await this.#insist("identity.create", params, key, create);
    if (answer.kind === "refused") {
      expect(answer.refusal.reason).toBe("HANDLE_TAKEN");
      return;
    }
    const { clientId } = answer.result as { clientId: string };
    const known = { clientId, tag, deleting: false, deleted: false };
    this.clients.push(known);
    const again = await this.#insist("identity.create", params, key, create);
    expect(again.kind === "done" && encode(again.result)).toEqual(encode(answer.result));
    const found = await this.#find(tag);
    if (!known.deleting) expect(found).toEqual([clientId]);
  }

  async #update(n: number, name: string): Promise<void> {
    const known = this.clients[n];
    if (known === undefined) return;
    const params = { clientId: known.clientId, clientIdentity: credential(name) };
    const answer = await this.#insist("identity.update", params, randomUUID(), (request) =>
      this.#service.update(request, params),
    );
    if (answer.kind === "done") expect(answer.result).toMatchObject({ handle: name });
    else expect(["HANDLE_TAKEN", ...(known.deleting ? ["CLIENT_NOT_FOUND"] : [])]).toContain(answer.refusal.reason);
  }

  async #retag(n: number): Promise<void> {
    const known = this.clients[n];
    if (known === undefined) return;
    const tag = randomUUID();
    const params = { clientId: known.clientId, tags: { add: [tag] } };
    const answer = await this.#insist("identity.update", params, randomUUID(), (request) =>
      this.#service.update(request, params),
    );
    const found = await this.#find(tag);
    if (!known.deleting) expect([answer.kind, found]).toEqual(["done", [known.clientId]]);
  }

  async #delete(n: number): Promise<void> {
    const known = this.clients[n];
    if (known === undefined) return;
    known.deleting = true;
    const params = { clientId: known.clientId };
    const answer = await this.#insist("identity.delete", params, randomUUID(), (request) =>
      this.#service.delete(request, params),
    );
    if (answer.kind === "refused") expect(answer.refusal.reason).toBe("CLIENT_NOT_FOUND");
    known.deleted = true;
    expect(await this.#find(known.tag)).toEqual([]);
  }

  /** No two clients are one handle's, whenever one looks. */
  async judgeNow(): Promise<void> {
    const holders = (await this.#active()).map(({ identity }) => identity?.handle);
    expect(new Set(holders).size, "clients with one handle").toBe(holders.length);
  }

  async judgeAtTheEnd(): Promise<void> {
    await this.judgeNow();
    const active = await this.#active();
    const ids = active.map(({ id }) => id);
    for (const { clientId, tag, deleted, deleting } of this.clients) {
      if (!deleting) expect(ids).toContain(clientId);
      if (deleted) expect(ids).not.toContain(clientId);
      expect(await this.#find(tag)).toEqual(deleted ? [] : [clientId]);
    }
    expect(active.length, "clients that nobody was told of").toBe(
      this.clients.filter(({ deleted }) => !deleted).length,
    );
    for (const name of HANDLES) {
      const id = handleActorId(name, undefined);
      const [record] = await readRecords<HandleContext>(this.#deployment.world.store, [{ ...HANDLE, id }]);
      const holder = active.find(({ identity }) => identity?.handle === name);
      const state = record?.state ?? "free";
      if (holder === undefined) expect(state, `nobody is ${name}`).toBe("free");
      else expect([state, record?.context.clientId]).toEqual(["held", holder.id]);
    }
  }

  async #active(): Promise<IdentityContext[]> {
    const addresses = [...this.#proposed].map((id) => ({ applicationId: APPLICATION, kind: "identity" as const, id }));
    const records = await readRecords<IdentityContext>(this.#deployment.world.store, addresses);
    return records.flatMap((record) => (record?.state === "active" ? [record.context] : []));
  }

  async #find(tag: string): Promise<string[]> {
    const request = { applicationId: APPLICATION, deadline: performance.now() + 10_000 };
    const page = await this.#tags.find(request, { all: [tag] }, "", 10);
    if (page.kind === "refused") throw new Error(page.refusal.reason);
    return page.clients.map(({ id }) => id);
  }

  /** As a client does: by key, until the answer is certain. */
  async #insist(
    method: MethodName,
    params: unknown,
    key: string,
    send: (request: ApplicationRequest) => Promise<Answer>,
  ): Promise<Answer> {
    const end = performance.now() + 20_000;
    for (;;) {
      const answer = await send({
        method,
        params,
        key,
        principal: { kind: "application", applicationId: APPLICATION, keyId: "k", scopes: ["identity"] },
        session: "s",
        deadline: performance.now() + 300,
        applicationId: APPLICATION,
        settings: SETTINGS,
      });
      if (answer.kind === "done" || !answer.refusal.retryable) return answer;
      if (performance.now() > end) throw new Error(`nothing but ${answer.refusal.reason}`);
      await new Promise((resolve) => setTimeout(resolve, 1 + 4 * Math.random()));
    }
  }
}

const HANDLE = { applicationId: APPLICATION, kind: "handle" as const };

/** A basic credential. */
function credential(identity: string): Uint8Array {
  return new Uint8Array([0, 1, identity.length, ...Buffer.from(identity)]);
}

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
});

for (const engine of ["lmdb", "redis"] as const) {
  const name = `[G8] [F24] a handle has one holder, creates are found, deletes are gone, nothing stays half done, on ${engine}`;
  it(name, { timeout: 120_000 }, async () => {
    const seed = seedOf(name);
    const rounds = fc.array(fc.array(action, { minLength: 1, maxLength: 8 }), { minLength: 3, maxLength: 8 });
    const runs = fc.asyncProperty(writeFaultPlan, rounds, async (plan, played) => {
      const redisUrl = engine === "redis" ? redis.url : undefined;
      const deployment = await Deployment.open(plan, { only: "commit", redisUrl });
      try {
        await play(deployment, played);
      } finally {
        await deployment.world.close();
      }
    });
    await fc.assert(runs, { numRuns: Number(process.env["AEGIS_PROPERTY_RUNS"] ?? 10), seed, endOnFailure: true });
  });
}

async function play(deployment: Deployment, rounds: readonly (readonly Action[])[]): Promise<void> {
  const players = new Players(deployment);
  for (const round of rounds) {
    const done = await Promise.allSettled(round.map((one) => players.act(one)));
    for (const each of done) if (each.status === "rejected") throw each.reason;
    await players.judgeNow();
  }
  deployment.wellAgain();
  // What nobody asks about any more is settled by the handles' timers.
  deployment.world.jump(SETTLED_AFTER_MS);
  await deployment.kill();
  deployment.wellAgain();
  const settled = async (): Promise<boolean> => {
    await deployment.quiet();
    return players.judgeAtTheEnd().then(
      () => true,
      () => false,
    );
  };
  await until(settled, "a settled end").catch(() => players.judgeAtTheEnd());
}
