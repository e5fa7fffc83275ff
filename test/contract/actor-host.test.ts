// The actor host on a real store: what leaves only after the write, what is refused, what is remembered.
import { afterEach, beforeEach, expect, it } from "vitest";
import { assign, emit, setup } from "xstate";
import type { ActorAddress, Outcome } from "../../src/actors/actor-port.ts";
import { actorKey } from "../../src/actors/actor-address.ts";
import type { Effect } from "../../src/actors/effects.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import type { ShardClaims } from "../../src/actors/shard-claim.ts";
import { encodeEnvelope } from "../../src/actors/snapshot.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { identityFacts, keyRecord, RETENTION, SETTINGS } from "../support/actor-commands.ts";
import { ActorWorld, address, applied, breathe, call, reasonOf, until, type Node } from "../support/actor-world.ts";

let world: ActorWorld;
beforeEach(async () => {
  world = await ActorWorld.open();
});
afterEach(async () => {
  await world.close();
});

const create = (handle = "alice") => ({ type: "create", reservation: "r", identity: identityFacts(handle), tags: [] });
const setTags = (...set: string[]) => ({ type: "update", tags: { set }, retention: RETENTION });

/** Waits until the node's outbox is empty and nothing is being written. */
async function quiet(node: Node): Promise<void> {
  await until(async () => {
    const before = node.store.commits.length;
    await breathe(10);
    return node.store.commits.length === before && node.store.held === 0;
  }, "a quiet node");
}

it("[G3] one write a turn: snapshot, parts, outbox and the key's result stand in one batch", async () => {
  const node = await world.node();
  const client = address("identity");
  await call(node.host, client, create(), { key: "k" });
  const [first] = node.store.commits;
  const kinds = first?.operations.map((operation) => operation.op);
  expect(kinds).toEqual(["putOutbox", "putOutbox", "putMark", "putSnapshot"]);
});

it("[G3] no reply leaves before the store has answered", async () => {
  const node = await world.node();
  const client = address("identity");
  node.store.hold();
  let answered = false;
  const outcome = call(node.host, client, create()).finally(() => {
    answered = true;
  });
  await until(() => node.store.held > 0);
  await breathe(50);
  expect(answered).toBe(false);
  expect(await world.state(client)).toBeUndefined();
  node.store.release();
  expect(reasonOf(await outcome)).toBe("applied");
});

it("[G3] events and messages to other actors leave only after the write", async () => {
  const published: string[] = [];
  const node = await world.node({ published: (actor) => published.push(actor) });
  const client = address("identity");
  await call(node.host, client, create());
  await quiet(node);
  node.store.hold();
  const sent = call(node.host, client, {
    type: "deliver",
    event: { type: "welcome", body: { n: 1 } },
    retention: RETENTION,
  });
  await until(() => node.store.held > 0);
  await breathe(50);
  expect(published).toEqual([]);
  expect(node.store.held).toBe(1);
  node.store.release();
  await sent;
  expect(published).toEqual([actorKey(client)]);
});

it("[G4] a refusal waits for an ownership check that began after the request", async () => {
  const node = await world.node();
  const client = address("identity");
  node.store.hold();
  let answered = false;
  const outcome = call(node.host, client, setTags("a")).finally(() => {
    answered = true;
  });
  await until(() => node.store.held > 0);
  await breathe(50);
  expect(answered).toBe(false);
  expect(node.store.checks).toBe(1);
  node.store.release();
  expect(reasonOf(await outcome)).toBe("CLIENT_NOT_FOUND");
});

it("[G4] a refusal of a node that is no owner any more is not uttered", async () => {
  const old = await world.node({ claims: (claims) => onlyOnce(claims) });
  const client = address("identity");
  await call(old.host, client, create());
  await quiet(old);
  const young = await world.node();
  await call(young.host, client, { type: "delete" });
  // The old node still has the client alive in memory; the truth is that it is gone.
  expect(reasonOf(await call(old.host, client, { ...setTags("x"), ifVersion: 99 }, { withinMs: 300 }))).toBe(
    "NOT_OWNER",
  );
});

it("[G4] of two hosts on one store the older is fenced and answers nothing more", async () => {
  const old = await world.node({ claims: (claims) => onlyOnce(claims) });
  const client = address("identity");
  expect(reasonOf(await call(old.host, client, create()))).toBe("applied");
  await quiet(old);
  const young = await world.node();
  expect(reasonOf(await call(young.host, client, setTags("young")))).toBe("applied");
  for (const command of [setTags("old"), { type: "acknowledge", offset: 0 }, { type: "delete" }]) {
    const said = reasonOf(await call(old.host, client, command, { withinMs: 300 }));
    expect(["NOT_OWNER", "OUTCOME_UNKNOWN"]).toContain(said);
  }
  expect(reasonOf(await call(old.host, client, setTags("old")))).toBe("NOT_OWNER");
  expect((await world.state(client))?.context["tags"]).toEqual(["young"]);
});

it("[G3] a repeated key answers word for word, from memory, from the store, and after a restart", async () => {
  const node = await world.node();
  const client = address("identity");
  node.store.hold();
  const first = call(node.host, client, create(), { key: "k" });
  const second = call(node.host, client, create(), { key: "k" });
  await until(() => node.store.held > 0);
  node.store.release();
  const { value } = applied(await first);
  expect(applied(await second)).toMatchObject({ value, repeated: true });
  await call(node.host, client, setTags("later"));
  expect(applied(await call(node.host, client, create(), { key: "k" }))).toMatchObject({ repeated: true });
  world.kill(node);
  const next = await world.node();
  const after = applied(await call(next.host, client, create(), { key: "k" }));
  expect(after.repeated).toBe(true);
  expect(after.value).toMatchObject({ clientId: client.id, version: 1, tags: [] });
});

it("[E4] a key with other params is refused as KEY_REUSED", async () => {
  const { host } = await world.node();
  const client = address("identity");
  await call(host, client, create(), { key: { key: "k", digest: "one" } });
  expect(reasonOf(await call(host, client, setTags("a"), { key: { key: "k", digest: "two" } }))).toBe("KEY_REUSED");
});

it("[G4] KEY_REUSED waits until the first use of the key is durable, and is not said when that came to nothing", async () => {
  const node = await world.node();
  const client = address("identity");
  node.store.hold();
  node.store.fault = (what) => (what === "commit" ? "before" : undefined);
  const first = call(node.host, client, create(), { key: { key: "k", digest: "one" } });
  let early: Outcome | undefined;
  const second = call(node.host, client, setTags("a"), { key: { key: "k", digest: "two" } });
  void second.then((outcome) => (early = outcome));
  await until(() => node.store.held > 0);
  await breathe(50);
  expect(early).toBeUndefined();
  node.store.release();
  expect(reasonOf(await first)).toBe("NOT_OWNER");
  expect(reasonOf(await second)).toBe("NOT_OWNER");
});

it("[E4] any string can be an idempotency key", async () => {
  const { host } = await world.node();
  for (const key of ["s:ключ", "s:\u0000", "s:é".repeat(10), `b:${"ff".repeat(64)}`, "s:a/b"]) {
    const client = address("identity");
    expect(reasonOf(await call(host, client, create(), { key, withinMs: 1_000 })), key).toBe("applied");
    expect(applied(await call(host, client, create(), { key })).repeated, key).toBe(true);
  }
});

it("[E4] a result that holds a secret is sealed in the store, and still repeated word for word", async () => {
  const node = await world.node();
  const registry = address("registry", "applications");
  const token = "aegis_key_very-secret-token";
  const command = {
    type: "register",
    applicationId: address("group").id,
    name: "n",
    settings: SETTINGS,
    key: keyRecord(),
    token,
  };
  const key = { key: "k", digest: "d", secret: true };
  const first = applied(await call(node.host, registry, command, { key }));
  expect(JSON.stringify(first.value)).toContain(token);
  const written = node.store.commits.flatMap(({ operations }) => operations);
  const readable = written.filter((operation) => "bytes" in operation && Buffer.from(operation.bytes).includes(token));
  expect(readable).toEqual([]);
  world.kill(node);
  const next = await world.node();
  expect(applied(await call(next.host, registry, command, { key })).value).toEqual(first.value);
});

it("[G6] a call whose time ran out before its turn was certainly not applied", async () => {
  const node = await world.node();
  const client = address("identity");
  expect(reasonOf(await call(node.host, client, create(), { withinMs: -1 }))).toBe("DEADLINE_EXCEEDED");
  await quiet(node);
  expect(await world.state(client)).toBeUndefined();
  expect(node.store.commits).toEqual([]);
});

it("[G6] a call whose time runs out after its turn has an unknown outcome, and the key tells it", async () => {
  const node = await world.node();
  const client = address("identity");
  node.store.hold();
  expect(reasonOf(await call(node.host, client, create(), { key: "k", withinMs: 400 }))).toBe("OUTCOME_UNKNOWN");
  // A retry while the first is still on its way does not know either.
  expect(reasonOf(await call(node.host, client, create(), { key: "k", withinMs: 400 }))).toBe("OUTCOME_UNKNOWN");
  node.store.release();
  expect(applied(await call(node.host, client, create(), { key: "k" })).repeated).toBe(true);
});

it("[G6] a full mailbox refuses at once, and the rest is served", async () => {
  const node = await world.node({ limits: { mailboxMax: 4, batchOperationsMax: 1 } });
  const client = address("identity");
  await call(node.host, client, create());
  node.store.hold();
  const calls = Array.from({ length: 12 }, (_, n) => call(node.host, client, setTags(String(n))));
  const early = await Promise.race([calls.at(-1), breathe(20)]);
  expect(early === undefined ? undefined : reasonOf(early)).toBe("MAILBOX_FULL");
  node.store.release();
  const reasons = (await Promise.all(calls)).map(reasonOf);
  expect(reasons.filter((reason) => reason === "MAILBOX_FULL").length).toBeGreaterThan(0);
  expect(reasons.filter((reason) => reason === "applied").length).toBeGreaterThan(3);
  expect(new Set(reasons)).toEqual(new Set(["MAILBOX_FULL", "applied"]));
});

it("[G6] the cap on live actors refuses while all are busy, and lets idle ones go for new ones", async () => {
  const node = await world.node({ limits: { actorsMax: 3 } });
  node.store.hold();
  const calls = Array.from({ length: 5 }, (_, n) => call(node.host, address("identity"), create(`h${String(n)}`)));
  await until(() => node.store.held > 0);
  expect(reasonOf(await call(node.host, address("identity"), create("late")))).toBe("ACTORS_LIMIT");
  node.store.release();
  const reasons = (await Promise.all(calls)).map(reasonOf);
  expect(reasons.filter((reason) => reason === "applied")).toHaveLength(3);
  await quiet(node);
  for (let n = 0; n < 20; n += 1) {
    await until(
      async () => reasonOf(await call(node.host, address("identity"), create(`x${String(n)}`))) === "applied",
    );
  }
});

it("[L6] the count of live actors is right again after a shard was lost", async () => {
  const node = await world.node({ limits: { actorsMax: 8 } });
  const ofShard = (shard: number, kind: ActorAddress["kind"], length: number) =>
    Array.from({ length }, () => addressIn(shard, kind));
  // Of a kind that owes nobody a message: nothing goes on behind these calls that would need room too.
  const touch = (to: ActorAddress) => call(node.host, to, { type: "unknown" });
  const kept = ofShard(0, "registry", 2);
  for (const to of kept) await touch(to);
  let loads = 0;
  for (let round = 0; round < 4; round += 1) {
    node.store.fault = (what, shard) => (what === "commit" && shard === 1 ? "before" : undefined);
    const lost = ofShard(1, "identity", 6).map((to) => call(node.host, to, create(to.id)));
    expect(new Set((await Promise.all(lost)).map(reasonOf))).toEqual(new Set(["NOT_OWNER"]));
    node.store.fault = (what) => {
      if (what === "load") loads += 1;
      return undefined;
    };
    await until(() => node.host.shardsOwned === 4);
  }
  // None of the lost ones is live: as many as fit beside those of the other shard come in, and nobody leaves.
  const others = ofShard(1, "registry", 6);
  for (const to of [...others, ...kept, ...others]) expect(reasonOf(await touch(to))).not.toBe("ACTORS_LIMIT");
  expect(loads).toBe(6);
  // Nor was one of them counted out twice: there is no room for one more.
  await touch(address("registry"));
  await touch(kept[0] as ActorAddress);
  expect(loads).toBe(8);
});

it("[L6] at the cap those called longest ago leave first, and not all at once", async () => {
  const node = await world.node({ limits: { actorsMax: 20 } });
  const clients = Array.from({ length: 20 }, () => address("registry"));
  const loads: string[] = [];
  node.store.fault = (what, _shard, _operations) => {
    if (what === "load") loads.push(what);
    return undefined;
  };
  const touch = (client: (typeof clients)[number]) => call(node.host, client, { type: "unknown" });
  for (const client of clients) await touch(client);
  await touch(clients[0] as never);
  expect(loads).toHaveLength(20);
  await touch(address("registry"));
  expect(loads).toHaveLength(21);
  for (const client of [clients[0], ...clients.slice(2)]) await touch(client as never);
  expect(loads).toHaveLength(21);
  await touch(clients[1] as never);
  expect(loads).toHaveLength(22);
});

it("[L6] no batch grows beyond its limit by more than one turn, whatever waits for room", async () => {
  const node = await world.node({ limits: { batchOperationsMax: 20 } });
  const clients = Array.from({ length: 100 }, () => address("identity"));
  const outcomes = await Promise.all(clients.map((client) => call(node.host, client, create(client.id), { key: "k" })));
  expect(new Set(outcomes.map(reasonOf))).toEqual(new Set(["applied"]));
  await quiet(node);
  // A create: two messages, a mark, a snapshot.
  const ofTurns = node.store.commits.map(
    ({ operations }) => operations.filter(({ op }) => op !== "deleteOutbox").length,
  );
  expect(Math.max(...ofTurns)).toBeLessThanOrEqual(24);
  // Deletes of delivered messages ride along, so many at a time.
  expect(Math.max(...node.store.commits.map(({ operations }) => operations.length))).toBeLessThanOrEqual(44);
});

it("[E4] what a question may be answered with otherwise is said only when nothing is remembered", async () => {
  const { host } = await world.node();
  const client = address("identity");
  const asked = { to: client, command: create(), key: { key: "k", digest: "d" }, otherwise: refuse("QUOTA") };
  expect(reasonOf(await host.call({ ...asked, deadline: performance.now() + 1_000 }))).toBe("QUOTA");
  await call(host, client, create(), { key: asked.key });
  expect(applied(await host.call({ ...asked, deadline: performance.now() + 1_000 })).repeated).toBe(true);
});

it("[F23] an envelope that was not written by this program is a bug of that actor alone", async () => {
  const node = await world.node();
  const client = address("identity");
  const neighbour = addressIn(world.shardOf(client), "identity");
  const bytes = encodeEnvelope({ machineVersion: 1, state: 7 as never, outboxNumber: 0, lineage: "", resultsUntil: 0 });
  const owner = await world.store.readOwner(world.shardOf(client));
  if (owner === undefined) throw new Error("nobody owns the shard");
  await world.store.commit(world.shardOf(client), owner.fence, owner.sequence + 1, [
    { op: "putSnapshot", actor: actorKey(client), bytes },
  ]);
  expect(reasonOf(await call(node.host, client, setTags("a")))).toBe("INTERNAL");
  // The write behind the host's back makes it claim anew first.
  await until(async () => reasonOf(await call(node.host, neighbour, create(), { key: "k" })) === "applied");
});

// A machine with a bug: what the machines of the catalogue must never do, done on purpose.
const { createMachine } = setup({
  types: { context: {} as { readonly n: number }, events: {} as { readonly type: string }, emitted: {} as Effect },
  actions: {
    count: assign(({ context }) => ({ n: context.n + 1 })),
    answer: emit(({ context }): Effect => ({ type: "reply", value: { n: context.n } })),
    explode: () => {
      throw new Error("a bug");
    },
    answerNonsense: emit((): Effect => ({ type: "reply", value: { when: new Date() } })),
    refuseLoudly: emit((): Effect => ({ type: "refuse", refusal: refuse("QUOTA") })),
  },
});
const buggy = {
  ...machineCatalogue,
  registry: {
    version: 1,
    directoryPrefixes: [],
    machine: createMachine({
      context: { n: 0 },
      on: {
        count: { actions: ["count", "answer"] },
        explode: { actions: ["count", "explode"] },
        refuseAfterChange: { actions: ["count", "refuseLoudly"] },
        answerNonsense: { actions: ["count", "answerNonsense"] },
        answerTwice: { actions: ["answer", "answer"] },
      },
    }),
  },
};

for (const type of ["explode", "refuseAfterChange", "answerTwice", "answerNonsense"]) {
  it(`[G6] a machine that breaks its rules (${type}) stops that actor only, at once, and nothing of the turn stays`, async () => {
    const node = await world.node({ catalogue: buggy });
    const actor = address("registry");
    const neighbour = addressIn(world.shardOf(actor), "registry");
    await call(node.host, actor, { type: "count" });
    await call(node.host, neighbour, { type: "count" });
    const began = performance.now();
    expect(reasonOf(await call(node.host, actor, { type }, { key: "k" }))).toBe("INTERNAL");
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(applied(await call(node.host, actor, { type: "count" })).value).toEqual({ n: 2 });
    expect(applied(await call(node.host, neighbour, { type: "count" })).value).toEqual({ n: 2 });
    expect(node.events.filter((event) => event.startsWith("lost"))).toEqual([]);
  });
}

it("[G6] a bug behind turns that are on their way loses none of them and answers all", async () => {
  const node = await world.node({ catalogue: buggy });
  const actor = address("registry");
  node.store.hold();
  const first = call(node.host, actor, { type: "count" });
  await until(() => node.store.held > 0);
  const rest = [{ type: "count" }, { type: "explode" }, { type: "count" }].map((command) =>
    call(node.host, actor, command, { withinMs: 3_000 }),
  );
  const calls = [first, ...rest];
  await breathe();
  node.store.release();
  const reasons = (await Promise.all(calls)).map(reasonOf);
  expect(reasons).toEqual(["applied", "applied", "INTERNAL", "NOT_OWNER"]);
  expect((await world.state(actor))?.context["n"]).toBe(2);
  expect(node.events.filter((event) => event.startsWith("lost"))).toEqual([]);
  expect(applied(await call(node.host, actor, { type: "count" })).value).toEqual({ n: 3 });
});

/** An actor in that shard. */
function addressIn(shard: number, kind: ActorAddress["kind"]): ActorAddress {
  for (;;) {
    const found = address(kind);
    if (world.shardOf(found) === shard) return found;
  }
}

/** Claims that succeed once a shard: a node that nobody lets own anything again. */
function onlyOnce(claims: { claim: ShardClaims["claim"] }) {
  const claimed = new Set<number>();
  return {
    claim: (shard: number, signal: AbortSignal) => {
      if (!claimed.has(shard)) {
        claimed.add(shard);
        return claims.claim(shard, signal);
      }
      return new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true });
      });
    },
  };
}
