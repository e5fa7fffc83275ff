// [G1] [G3] [G4] [G5] Groups: the log gives every accepted call its place; the places must agree with what callers were
// told and with the order in which they asked. Linear in the length of the log.
import { actorKey, shardOf } from "../../src/actors/actor-address.ts";
import type { ActorAddress } from "../../src/actors/actor-port.ts";
import { decode } from "../../src/protocol/codec.ts";
import { groupActorId } from "../../src/services/service-ports.ts";
import type { Evidence } from "./judge.ts";
import { fixtures } from "./fixtures.ts";
import { groupId, type Load } from "./load.ts";
import { describe, hex, type Operation } from "./operation.ts";
import type { World } from "./world.ts";

interface Logged {
  readonly offset: number;
  readonly type: string;
  readonly message: string;
}

/** A call and the moment of the log that it must have happened at; reads stand between two offsets. */
interface Placed {
  readonly operation: Operation;
  readonly at: number;
}

interface Head {
  readonly epoch: bigint | number;
  readonly position: { readonly offset: number };
}

export function judgeGroups(evidence: Evidence): void {
  fixtures().groups.forEach((_, group) => judgeGroup(evidence, group));
}

function judgeGroup(evidence: Evidence, group: number): void {
  const { world, load } = evidence;
  const log = logOf(evidence, group);
  const operations = load.operations.filter(({ params }) => isOf(params["groupId"], group));
  const fail = (rule: string, why: string, operation?: Operation): void =>
    world.violated(`[${rule}] group ${group}: ${why}${operation === undefined ? "" : `: ${describe(operation)}`}`);
  judgeLog(log, operations, fail);
  judgeOrder(
    operations.flatMap((operation) => placed(log, operation, fail) ?? []),
    fail,
  );
  for (const followed of load.followed.filter((each) => each.group === group)) {
    for (const reason of followed.resets) {
      fail("G5", `a follower was told ${reason}${log.length > 0 ? " of a group that goes on" : ""}`);
    }
    // What comes before such a word may be gone from the log, and nothing comes after it.
    if (followed.resets.length > 0) continue;
    const expected = log.map(({ offset, message }) => `${offset} ${message}`);
    const seen = followed.events.map(({ offset, message }) => `${offset} ${message}`);
    const wrong = seen.findIndex((event, n) => event !== expected[n]);
    if (wrong >= 0) fail("G5", `a follower got ${String(seen[wrong])} in place of ${String(expected[wrong])}`);
    else if (seen.length < expected.length) fail("G5", `a follower got ${seen.length} of ${expected.length} events`);
  }
}

/** Some follower was neither given all that its group's log holds nor told that its stream is broken. */
export function followersLag(world: World, load: Load): boolean {
  return load.followed.some(({ group, events, resets }) => {
    const key = actorKey(addressOf(load, group));
    const shard = world.data.shards[shardOf(key, world.store.shardCount)];
    return resets.length === 0 && (events.at(-1)?.offset ?? 0) < (shard?.head(key).last ?? 0);
  });
}

type Fail = (rule: string, why: string, operation?: Operation) => void;

function judgeLog(log: readonly Logged[], operations: readonly Operation[], fail: Fail): void {
  const times = new Map<string, number>();
  log.forEach(({ offset, message }, n) => {
    if (offset !== n + 1) fail("G5", `the log has a hole at ${offset}`);
    if (message !== "") times.set(message, (times.get(message) ?? 0) + 1);
  });
  for (const operation of operations) {
    const bytes = operation.params["commit"] ?? operation.params["message"];
    if (bytes === undefined) continue;
    const count = times.get(hex(bytes)) ?? 0;
    times.delete(hex(bytes));
    if (count > 1) fail("G6", `is in the log ${count} times`, operation);
    if (count > 0 && operation.outcome.kind === "refused") fail("G4", "was refused and is in the log", operation);
  }
  for (const message of times.keys()) fail("G4", `the log holds what nobody sent: ${message.slice(0, 16)}`);
}

/** Where in the log the call happened, after its answer was held against the log there. */
function placed(log: readonly Logged[], operation: Operation, fail: Fail): Placed | undefined {
  const { method, outcome, params } = operation;
  const { position, epoch } = outcome.kind === "unknown" ? {} : headOf(outcome);
  if (outcome.kind === "unknown" || position === undefined) return undefined;
  const { offset } = position;
  if (outcome.kind === "done" && (method === "group.commit" || method === "group.send")) {
    const message = hex(params["commit"] ?? params["message"]);
    const there = log[offset - 1];
    if (there?.message !== message) fail("G3", `is not at ${offset}, where it was acknowledged`, operation);
    if (method === "group.commit" && BigInt(epoch ?? 0) !== epochAt(log, offset)) {
      fail("G1", `was acknowledged for epoch ${String(epoch)}, which began elsewhere`, operation);
    }
    return { operation, at: offset };
  }
  if (BigInt(epoch ?? 0) !== epochAt(log, offset)) {
    fail("G4", `was told epoch ${String(epoch)} at ${offset}, where it is ${String(epochAt(log, offset))}`, operation);
  }
  return { operation, at: offset + 0.5 };
}

function headOf(outcome: Exclude<Operation["outcome"], { kind: "unknown" }>): Partial<Head> {
  return outcome.kind === "done" ? outcome.result : outcome.details;
}

/** Who had an answer before another asked stands before it, or at the same place. */
function judgeOrder(all: readonly Placed[], fail: Fail): void {
  const inPlace = [...all].sort((a, b) => a.at - b.at);
  let latest: Placed | undefined;
  let held: Placed[] = [];
  for (const each of inPlace) {
    if (held[0] !== undefined && held[0].at < each.at) {
      for (const before of held) {
        if (latest === undefined || before.operation.invokedMs > latest.operation.invokedMs) latest = before;
      }
      held = [];
    }
    if (latest !== undefined && latest.operation.invokedMs > each.operation.returnedMs) {
      fail("G4", `stands at ${each.at}, behind ${describe(latest.operation)} at ${latest.at}`, each.operation);
    }
    held.push(each);
  }
}

function epochAt(log: readonly Logged[], offset: number): bigint {
  return BigInt(log.filter((logged) => logged.type === "commit" && logged.offset <= offset).length);
}

function addressOf(load: Load, group: number): ActorAddress {
  return { applicationId: load.applicationId, kind: "group", id: groupActorId(groupId(group)) };
}

function logOf(evidence: Evidence, group: number): Logged[] {
  const address = addressOf(evidence.load, group);
  const entries = evidence
    .shardOf(address)
    .stream(actorKey(address), 0, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  return entries.map(({ offset, type, body }) => {
    const { message } = decode(body) as { message?: Uint8Array };
    return { offset, type, message: message === undefined ? "" : hex(message) };
  });
}

function isOf(id: unknown, group: number): boolean {
  return id instanceof Uint8Array && Buffer.from(id).equals(groupId(group));
}
