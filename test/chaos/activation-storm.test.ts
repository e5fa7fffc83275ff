// A node is killed and its actors are called all at once, through one of those that are left: they bring them to life
// within their limits, keep answering each other and go on.
import { afterAll, beforeAll, expect, test } from "vitest";
import { randomUUID } from "node:crypto";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AegisError, connect, type AegisClient } from "../../src/client/client.ts";
import { basicCredential } from "../support/app-world.ts";
import { ClusterProcess } from "../support/cluster-process.ts";
import type { ServerProcess } from "../support/server-process.ts";

const actors = 10_000;
/** Of all that are called, so many that they do not fit into the survivors' memory at once. */
const actorsMax = 400;
/** Identities that are there before; the rest are ids that nobody has yet, which an actor has to find out. */
const existing = 1_500;
const sessions = 10;
/** Unanswered requests of one session: all calls are on their way at any moment, until they are answered. */
const inFlightMax = actors / sessions;
const ttlMs = 60_000;

let cluster: ClusterProcess;
let clients: AegisClient[] = [];

beforeAll(async () => {
  const entry = path.join(import.meta.dirname, "../support/sabotaged-server.mjs");
  const env = { AEGIS_ACTORS_MAX: String(actorsMax), AEGIS_TEST_STRETCHES: "1" };
  cluster = await ClusterProcess.start({ nodes: 3, entry, env });
}, 60_000);

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await cluster.dispose();
});

function at(n: number): AegisClient {
  return clients[n % clients.length] as AegisClient;
}

test("[F19] [G6] [G7] 10,000 actors of a killed node, called at once, come to life within the limit, and nobody else is expelled", async () => {
  const operator = await connect({ url: cluster.server(0).url, token: cluster.operatorToken });
  const { applicationId, key } = await operator.application.create({ name: "storm" });
  await operator.close();
  const [victim, ...survivors] = cluster.servers as [ServerProcess, ServerProcess, ...ServerProcess[]];
  const [edge] = survivors;
  clients = await Promise.all(
    Array.from({ length: sessions }, () => connect({ url: edge.url, token: key.secret, ttlMs, inFlightMax })),
  );
  const made = await Promise.all(
    Array.from({ length: existing }, (_, n) => at(n).identity.create({ clientIdentity: basicCredential(`s${n}`) })),
  );
  const owned = await cluster.ownedBy(0);
  const isVictims = (id: string): boolean => owned({ applicationId, kind: "identity", id });
  const known = made.map(({ clientId }) => clientId).filter(isVictims);
  const called = [...known];
  while (called.length < actors) {
    const id = randomUUID();
    if (isVictims(id)) called.push(id);
  }
  const said = survivors.map(({ output }) => output.length);

  await victim.kill9();
  const since = performance.now();
  const outcomes = Promise.all(
    called.map((clientId, n) =>
      at(n)
        .identity.update({ clientId, tags: { set: ["storm"] } })
        .then(() => "ok", reasonOf),
    ),
  );
  let liveMost = 0;
  let over = false;
  void outcomes.then(() => (over = true));
  while (!over) {
    for (const server of survivors) {
      liveMost = Math.max(liveMost, await server.metric("aegis_actors"));
    }
    await delay(50);
  }
  const tookMs = performance.now() - since;
  const blockMs = Math.max(...survivors.map(({ output }, n) => longestStretchMs(output.slice(said[n]))));
  console.log(
    `${called.length} calls, ${known.length} of known clients, answered in ${tookMs.toFixed(0)} ms; at most ${liveMost} actors on a node; the event loop was blocked for ${blockMs} ms of processor time at most`,
  );
  const reasons = await outcomes;
  expect(reasons.slice(0, known.length).filter((reason) => reason !== "ok")).toEqual([]);
  expect(reasons.slice(known.length).filter((reason) => reason !== "CLIENT_NOT_FOUND")).toEqual([]);
  expect(liveMost).toBeLessThanOrEqual(actorsMax);
  expect(blockMs).toBeLessThan(200);
  for (const server of survivors) {
    expect(await server.metric("aegis_members")).toBe(1);
    expect(await server.metric("aegis_self_fences_total")).toBe(0);
    expect(server.comebacks).toBe(0);
  }
}, 180_000);

/** As the server says it; what it does not say is shorter than anything that matters. */
function longestStretchMs(output: string): number {
  return Math.max(0, ...[...output.matchAll(/^stretch of (\d+) ms$/gm)].map(([, ms]) => Number(ms)));
}

function reasonOf(error: unknown): string {
  if (error instanceof AegisError) return error.reason;
  throw error;
}
