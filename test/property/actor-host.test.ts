// The host under random commands, faults of the store, tiny limits and restarts: what it says is true (G3, G6),
// one commit ends an epoch (G1), a package goes out once (G2), what is owed arrives once and in order (G8).
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ActorAddress, Applied, Outcome } from "../../src/actors/actor-port.ts";
import { actorKey } from "../../src/actors/actor-address.ts";
import type { MachineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { decode } from "../../src/protocol/codec.ts";
import {
  claim,
  createGroup,
  HOUR_MS,
  identityFacts,
  offered,
  publish,
  RETENTION,
  submitCommit,
} from "../support/actor-commands.ts";
import { address, reasonOf } from "../support/actor-world.ts";
import { Deployment } from "../support/deployment.ts";
import { faultPlan } from "../support/fault-plan.ts";
import { probeCatalogue } from "../support/probe-machine.ts";
import { startRedis, type RedisServer } from "../support/redis-server.ts";
import { seedOf } from "../support/seed.ts";

const RUNS = Number(process.env["AEGIS_PROPERTY_RUNS"] ?? 8);
const CERTAIN = new Set(["NOT_OWNER", "DEADLINE_EXCEEDED", "MAILBOX_FULL", "ACTORS_LIMIT", "STORE_UNAVAILABLE"]);

interface Step {
  /** Which actor, of the few there are. */
  readonly actor: number;
  /** What is done to it. */
  readonly choice: number;
  /** Wait for what is on its way before going on. */
  readonly wait: boolean;
  readonly kill: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  actor: fc.nat(2),
  choice: fc.nat(9),
  wait: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
  kill: fc.integer({ min: 0, max: 11 }).map((n) => n === 0),
});

/** Runs a deployment through the steps; `act` answers when its call has been answered. */
async function play(
  deployment: Deployment,
  steps: readonly Step[],
  act: (step: Step, number: number) => Promise<void>,
): Promise<void> {
  let running: Promise<void>[] = [];
  const failures: unknown[] = [];
  for (const [number, one] of steps.entries()) {
    running.push(act(one, number).catch((error: unknown) => void failures.push(error)));
    if (one.wait) {
      await Promise.all(running);
      running = [];
    }
    if (one.kill) await deployment.kill();
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
});

function property(
  name: string,
  run: (deployment: Deployment, steps: readonly Step[]) => Promise<void>,
  catalogue?: MachineCatalogue,
): void {
  for (const engine of ["lmdb", "redis"] as const) {
    it(`${name}, on ${engine}`, { timeout: 120_000 }, async () => {
      const seed = seedOf(`${name}, on ${engine}`);
      const runs = fc.asyncProperty(faultPlan, fc.array(step, { minLength: 5, maxLength: 40 }), async (plan, steps) => {
        const redisUrl = engine === "redis" ? redis.url : undefined;
        const deployment = await Deployment.open(plan, { catalogue, redisUrl });
        try {
          await run(deployment, steps);
        } finally {
          await deployment.world.close();
        }
      });
      await fc.assert(runs, { numRuns: RUNS, seed, endOnFailure: true });
    });
  }
}

property(
  "[G3] [G6] what is called applied is there once, what is called certain is not, and a retry by key tells the rest",
  async (deployment, steps) => {
    const probes = Array.from({ length: 3 }, () => address("registry"));
    const said = new Map<number, { probe: ActorAddress; outcome: Outcome }>();
    await play(deployment, steps, async ({ actor }, number) => {
      const probe = probes[actor] as ActorAddress;
      said.set(number, { probe, outcome: await deployment.try(probe, note(number), `k${String(number)}`) });
    });
    await deployment.quiet();
    const notes = new Map<ActorAddress, readonly unknown[]>();
    for (const probe of probes) notes.set(probe, await notesOf(deployment, probe));
    for (const [number, { probe, outcome }] of said) {
      const times = notes.get(probe)?.filter((each) => each === number).length ?? 0;
      const reason = reasonOf(outcome);
      if (reason === "applied") expect(times, `${String(number)} was acknowledged`).toBe(1);
      else if (reason === "OUTCOME_UNKNOWN") expect(times).toBeLessThanOrEqual(1);
      else {
        expect(CERTAIN).toContain(reason);
        expect(times, `${String(number)} was certainly not applied (${reason})`).toBe(0);
      }
      const again = await deployment.insist(probe, note(number), `k${String(number)}`);
      expect(again.kind === "applied" && again.repeated).toBe(times === 1);
    }
    for (const probe of probes) {
      const all = await notesOf(deployment, probe);
      expect(new Set(all).size).toBe(all.length);
    }
  },
  probeCatalogue,
);

property(
  "[G8] what is owed arrives once and in each sender's order",
  async (deployment, steps) => {
    const probes = Array.from({ length: 3 }, () => address("registry"));
    const accepted: { from: number; number: number; to: number[] }[] = [];
    await play(deployment, steps, async ({ actor, choice }, number) => {
      const to = [choice % 3, (choice + 1) % 3].slice(0, 1 + (choice % 2));
      const receivers = to.map((each) => probes[each] as ActorAddress);
      const command = { type: "owe", to: receivers, note: 1000 * actor + number } as { type: string };
      const outcome = await deployment.insist(probes[actor] as ActorAddress, command, `k${String(number)}`);
      expect(outcome.kind).toBe("applied");
      accepted.push({ from: actor, number: 1000 * actor + number, to });
    });
    await deployment.quiet();
    for (const [n, receiver] of probes.entries()) {
      const notes = (await notesOf(deployment, receiver)) as number[];
      const expected = accepted.filter(({ to }) => to.includes(n)).map(({ number }) => number);
      expect([...notes].sort()).toEqual([...expected].sort());
      for (const sender of [0, 1, 2]) {
        const sent = ((await deployment.world.state(probes[sender] as ActorAddress))?.context["sent"] ??
          []) as number[];
        const own = notes.filter((each) => Math.floor(each / 1000) === sender);
        expect(own).toEqual(sent.filter((each) => expected.includes(each)));
      }
    }
  },
  probeCatalogue,
);

property("[G1] one commit ends an epoch, whoever races, and the log is their order", async (deployment, steps) => {
  const group = address("group", "aa");
  expect((await deployment.insist(group, createGroup() as never, "create")).kind).toBe("applied");
  const won = new Map<number, string>();
  await play(deployment, steps, async ({ choice }, number) => {
    const { context } = (await deployment.world.state(group)) ?? { context: { epoch: "0" } };
    const epoch = Number(context["epoch"]) + (choice === 0 ? 1 : 0);
    const digest = `commit ${String(number)}`;
    const command = submitCommit(epoch, { digest, message: new Uint8Array([number]) });
    const outcome = await deployment.insist(group, command, digest);
    if (outcome.kind === "refused") {
      expect(outcome.refusal.reason).toBe("EPOCH_CONFLICT");
      return;
    }
    const { epoch: begun } = outcome.value as { epoch: bigint };
    expect(Number(begun)).toBe(epoch + 1);
    expect(won.get(epoch)).toBeUndefined();
    won.set(epoch, digest);
  });
  await deployment.quiet();
  const events = await eventsOf(deployment, group);
  expect(events.map(({ body }) => Number((body as { epoch: bigint }).epoch))).toEqual(events.map((_, n) => n + 1));
  for (const [epoch, digest] of won) {
    const { message } = events[epoch]?.body as { message: Uint8Array };
    expect(`commit ${String(message[0])}`).toBe(digest);
  }
  expect(events.length).toBe(won.size);
});

property("[G2] a package goes out once, and a retry by key gets the same", async (deployment, steps) => {
  const pool = address("keyPool");
  const packages = Array.from({ length: 12 }, (_, n) => offered(n, Date.now() + HOUR_MS + n, { index: n }));
  expect((await deployment.insist(pool, publish(packages), "publish")).kind).toBe("applied");
  const handed = new Map<string, string>();
  await play(deployment, steps, async (_, number) => {
    const key = `claim ${String(number)}`;
    const outcome = await deployment.insist(pool, claim({ requester: String(number % 3) }), key);
    if (outcome.kind === "refused") {
      expect(outcome.refusal.reason).toBe("POOL_EMPTY");
      return;
    }
    handed.set(key, packageOf(outcome));
  });
  deployment.wellAgain();
  expect(new Set(handed.values()).size).toBe(handed.size);
  expect(handed.size).toBe(Math.min(steps.length, packages.length));
  for (const [key, bytes] of handed) {
    const again = await deployment.insist(pool, claim({ requester: "other" }), key);
    expect(again.kind === "applied" && packageOf(again)).toBe(bytes);
  }
});

property(
  "[G5] an inbox has no hole: offsets rise by one, the head says what the store has",
  async (deployment, steps) => {
    const client = address("identity");
    const create = { type: "create", reservation: "r", identity: identityFacts("alice"), tags: [] };
    expect((await deployment.insist(client, create, "create")).kind).toBe("applied");
    let delivered = 0;
    let acknowledged = 0;
    await play(deployment, steps, async ({ choice }, number) => {
      const key = `k${String(number)}`;
      if (choice > 7) {
        const upTo = Math.floor(delivered / 2);
        const outcome = await deployment.insist(client, { type: "acknowledge", offset: upTo } as never, key);
        expect(outcome.kind).toBe("applied");
        acknowledged = Math.max(acknowledged, upTo);
        return;
      }
      const event = { type: "welcome", body: { number } };
      const outcome = await deployment.insist(client, { type: "deliver", event, retention: RETENTION } as never, key);
      expect(outcome.kind).toBe("applied");
      delivered += 1;
    });
    await deployment.quiet();
    const actor = actorKey(client);
    const shard = deployment.world.shardOf(client);
    const { entries, head } = await deployment.world.store.readStream(shard, actor, {
      after: 0,
      limit: 1000,
      bytesMax: 1e9,
    });
    const state = await deployment.world.state(client);
    const inbox = state?.context["inbox"] as { window: { last: number }; acknowledged: number };
    expect(head.last).toBe(delivered);
    expect(inbox.window.last).toBe(delivered);
    expect(inbox.acknowledged).toBe(acknowledged);
    expect(entries.map(({ offset }) => offset)).toEqual(entries.map((_, n) => head.first + n));
    expect(head.first).toBe(acknowledged + 1);
    const numbers = entries.map(({ body }) => (decode(body) as { number: number }).number);
    expect(new Set(numbers).size).toBe(numbers.length);
  },
);

function note(number: number): { type: string } {
  return { type: "note", note: number } as { type: string };
}

async function notesOf(deployment: Deployment, probe: ActorAddress): Promise<readonly unknown[]> {
  return ((await deployment.world.state(probe))?.context["notes"] as unknown[] | undefined) ?? [];
}

async function eventsOf(deployment: Deployment, actor: ActorAddress): Promise<{ type: string; body: unknown }[]> {
  const query = { after: 0, limit: 1000, bytesMax: 1e9 };
  const { entries } = await deployment.world.store.readStream(deployment.world.shardOf(actor), actorKey(actor), query);
  return entries.map(({ type, body }) => ({ type, body: decode(body) }));
}

function packageOf({ taken }: Applied): string {
  return Buffer.from(taken[0] ?? []).toString();
}
