// One chain, one death: the server dies at a write, comes back, and the chain ends — by itself or by the retry —
// as all of it or none of it, with one true answer (F24, G3, G6, G8).
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { CrashPlan } from "./crashing-server.ts";
import type { CrashWorld } from "./crash-world.ts";

/** What can be seen of a chain: nothing of it, all of it, or which facts stand where. */
export type Seen = "none" | "all" | { readonly mixed: Readonly<Record<string, unknown>> };

/** One run of a chain, on subjects that no other run uses. */
export interface ChainRun {
  act(key: string): Promise<object>;
  seen(): Promise<Seen>;
  /** All of it is there and agrees with the answer, in whatever way it can be asked for. */
  check(answer: object): Promise<void>;
}

export interface Chain {
  readonly name: string;
  /** A reservation may stand until its timer rings. */
  readonly reserves?: boolean;
  /** Where it is known to be but one. */
  readonly writes?: 1;
  setUp(world: CrashWorld): Promise<ChainRun>;
}

/** `alone`: nobody asks again until the chain has ended by itself. */
export type Sequel = "alone" | "retry";

const SETTLED_WITHIN_MS = 20_000;
/** Beyond the time after which an unused reservation is settled. */
export const RESERVATION_MS = 50_000;

/** What each fact is before the chain and after it; facts are compared by their JSON. */
export type Facts = Readonly<Record<string, readonly [found: unknown, before: unknown, after: unknown]>>;

export function judge(facts: Facts): Seen {
  const stands = (which: 1 | 2): boolean =>
    Object.values(facts).every((fact) => JSON.stringify(fact[0]) === JSON.stringify(fact[which]));
  if (stands(1)) return "none";
  if (stands(2)) return "all";
  return { mixed: Object.fromEntries(Object.entries(facts).map(([name, [found]]) => [name, found])) };
}

/** @returns false when the chain ended before it came to that write; died or not, its end is judged */
export async function crashAt(
  world: CrashWorld,
  chain: Chain,
  plan: CrashPlan,
  sequel: Sequel,
  withinMs = SETTLED_WITHIN_MS,
): Promise<boolean> {
  const run = await chain.setUp(world);
  assert.equal(await run.seen(), "none");
  const key = randomUUID();
  world.server.plan(plan);
  const first = answerOf(run.act(key));
  const died = await world.diedOrEnded(first.settled, plan);
  if (died) {
    // What was on its way to us when it died has come by now.
    await Promise.race([first.settled, delay(100)]);
    await world.disconnect();
    await first.settled;
    await world.comeBack(sequel === "alone" && chain.reserves === true ? RESERVATION_MS : 0);
  }
  if (sequel === "alone" && died) {
    const seen = await ended(run, withinMs);
    if (first.answer !== undefined) assert.equal(seen, "all", "[G3] what was acknowledged is there");
  }
  const reached = died || world.server.writes >= plan.at;
  if (!died) assert.notEqual(first.answer, undefined, `[G6] a server that lives answers: ${String(first.error)}`);
  const answer = await run.act(key);
  if (first.answer !== undefined) assert.deepEqual(answer, first.answer, "[G6] the retry has the one true answer");
  assert.equal(await ended(run, withinMs, "all"), "all");
  assert.deepEqual(await run.act(key), answer, "[G6] and so has the next");
  await run.check(answer);
  return reached;
}

/** Waits until it is the one or the other. */
async function ended(run: ChainRun, withinMs: number, wanted?: "all"): Promise<Seen> {
  const until = performance.now() + withinMs;
  for (;;) {
    const seen = await run.seen();
    if (seen === "all" || (seen === "none" && wanted === undefined)) return seen;
    if (performance.now() > until) assert.fail(`the chain does not end: ${JSON.stringify(seen)}`);
    await delay(25);
  }
}

interface First {
  settled: Promise<void>;
  answer: object | undefined;
  error: unknown;
}

function answerOf(call: Promise<object>): Readonly<First> {
  const first: First = { settled: Promise.resolve(), answer: undefined, error: undefined };
  first.settled = call.then(
    (answer) => {
      first.answer = answer;
    },
    (error: unknown) => {
      first.error = error;
    },
  );
  return first;
}
