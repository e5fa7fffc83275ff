// [G2] [G3] [G4] Key pools: each one-time package goes to one claim, an accepted one is there until it is claimed, and
// nobody is told "empty" or a number that no order of the calls explains.
import { actorKey } from "../../src/actors/actor-address.ts";
import { parsePackageName } from "../../src/actors/key-pool-queues.ts";
import type { Evidence } from "./judge.ts";
import { describe, hex, resultOf, type Operation } from "./operation.ts";

interface Claimed {
  readonly keyPackageRef: Uint8Array;
  readonly lastResort: boolean;
}

interface Claims {
  readonly claimed: readonly Claimed[];
  readonly failed: readonly { readonly reason: string }[];
}

interface Pool {
  readonly publishes: readonly Operation[];
  readonly claims: readonly Operation[];
  readonly statuses: readonly Operation[];
  /** Refs and the claim that was given them. */
  readonly given: Map<string, Operation>;
}

type Fail = (rule: string, why: string, operation?: Operation) => void;

export function judgePools(evidence: Evidence): void {
  const { world, load } = evidence;
  for (const owner of load.owners) {
    const fail: Fail = (rule, why, operation) =>
      world.violated(`[${rule}] pool of ${owner}: ${why}${operation === undefined ? "" : `: ${describe(operation)}`}`);
    const of = (method: string, isIts: (params: Operation["params"]) => boolean): Operation[] =>
      load.operations.filter((operation) => operation.method === method && isIts(operation.params));
    const pool: Pool = {
      publishes: of("keyPool.publish", ({ clientId }) => clientId === owner),
      claims: of("keyPool.claim", ({ targets }) => (targets as { clientId: string }[])[0]?.clientId === owner),
      statuses: of("keyPool.status", ({ clientIds }) => (clientIds as string[])[0] === owner),
      given: new Map(),
    };
    judgeGiven(pool, fail);
    judgeKept(evidence, owner, pool, fail);
    for (const claim of pool.claims) judgeEmpty(pool, claim, fail);
    for (const status of pool.statuses) judgeStatus(pool, status, fail);
  }
}

function judgeGiven({ claims, given }: Pool, fail: Fail): void {
  for (const claim of claims) {
    for (const { keyPackageRef, lastResort } of resultOf<Claims>(claim)?.claimed ?? []) {
      const ref = hex(keyPackageRef);
      const other = given.get(ref);
      if (other !== undefined && !lastResort) fail("G2", `a package went out twice, to ${describe(other)}`, claim);
      given.set(ref, claim);
    }
  }
}

function judgeKept({ load, shardOf }: Evidence, owner: string, pool: Pool, fail: Fail): void {
  const address = { applicationId: load.applicationId, kind: "keyPool" as const, id: owner };
  const left = new Set(
    shardOf(address)
      .partNames(actorKey(address), "once/")
      .map((name) => parsePackageName(name).refHex),
  );
  let missing = 0;
  for (const publish of pool.publishes) {
    for (const ref of acceptedBy(publish)) {
      if (left.has(ref) && pool.given.has(ref)) fail("G2", "a package that was handed out is still there", publish);
      if (!left.has(ref) && !pool.given.has(ref)) missing += 1;
    }
  }
  const mayHaveTaken = pool.claims.filter(isUncertain).length;
  if (missing > mayHaveTaken) fail("G3", `${missing} packages are gone, and ${mayHaveTaken} claims may have them`);
}

/** "Empty" needs an order of the calls in which it was. */
function judgeEmpty(pool: Pool, claim: Operation, fail: Fail): void {
  if (resultOf<Claims>(claim)?.failed[0]?.reason !== "POOL_EMPTY") return;
  const left = certainlyLeft(pool, claim);
  if (left > 0) fail("G4", `was told "empty" of a pool with ${left} packages`, claim);
}

function judgeStatus(pool: Pool, status: Operation, fail: Fail): void {
  const pools = resultOf<{ pools: { queues?: { available: number }[] }[] }>(status)?.pools;
  if (pools === undefined) return;
  const available = pools[0]?.queues?.[0]?.available ?? 0;
  const least = certainlyLeft(pool, status);
  if (available < least) fail("G4", `was told of ${available} packages where at least ${least} were`, status);
  const published = pool.publishes.filter(({ invokedMs }) => invokedMs < status.returnedMs).flatMap(offeredBy).length;
  const taken = pool.claims.filter((claim) => claim.returnedMs < status.invokedMs && takenBy(claim) > 0).length;
  const most = published - taken;
  if (available > most) fail("G4", `was told of ${available} packages where at most ${most} were`, status);
}

/** Packages that were there all through the call. */
function certainlyLeft(pool: Pool, during: Operation): number {
  const before = pool.publishes.filter(({ returnedMs }) => returnedMs < during.invokedMs).flatMap(acceptedBy);
  const free = before.filter((ref) => (pool.given.get(ref)?.invokedMs ?? Infinity) > during.returnedMs).length;
  return free - pool.claims.filter((claim) => isUncertain(claim) && claim.invokedMs < during.returnedMs).length;
}

function acceptedBy(publish: Operation): string[] {
  return (resultOf<{ accepted: Uint8Array[] }>(publish)?.accepted ?? []).map(hex);
}

function offeredBy({ params, outcome }: Operation): unknown[] {
  return outcome.kind === "refused" ? [] : (params["keyPackages"] as unknown[]);
}

function takenBy(claim: Operation): number {
  return resultOf<Claims>(claim)?.claimed.filter(({ lastResort }) => !lastResort).length ?? 0;
}

/** It may have taken a package that nobody was given. */
function isUncertain(claim: Operation): boolean {
  const result = resultOf<Claims>(claim);
  if (result === undefined) return claim.outcome.kind === "unknown";
  return result.claimed.length === 0 && (claim.unsure === true || result.failed[0]?.reason === "OUTCOME_UNKNOWN");
}
