// [G3] [G4] [G8] Clients and their handles: versions give a client's changes their order, and every read, search and
// refusal must agree with it; one handle has one holder; chains have ended, all of it or none.
import { actorKey, parseActorKey } from "../../src/actors/actor-address.ts";
import { indexedTag } from "../../src/actors/tag-names.ts";
import type { Evidence } from "./judge.ts";
import { describe, groupedBy, resultOf, type Operation } from "./operation.ts";

interface Record_ {
  readonly clientId: string;
  readonly handle: string;
  readonly tags: readonly string[];
  readonly version: number;
}

/** One version of a client, seen by its writer or by a reader. */
interface Sight extends Record_ {
  readonly operation: Operation;
  readonly writes: boolean;
}

type Fail = (rule: string, why: string, operation?: Operation) => void;

export function judgeIdentities(evidence: Evidence): void {
  const { world, load } = evidence;
  const fail: Fail = (rule, why, operation) =>
    world.violated(`[${rule}] identities: ${why}${operation === undefined ? "" : `: ${describe(operation)}`}`);
  const sights = load.operations.flatMap(sightsOf);
  const byClient = groupedBy(sights, ({ clientId }) => clientId);
  for (const [clientId, seen] of byClient) {
    judgeVersions(seen, fail);
    judgeEnd(load.operations, clientId, seen, fail);
  }
  judgeHandles(load.operations, fail);
  for (const operation of load.operations)
    if (operation.method === "identity.find") judgeFind(load, operation, byClient, fail);
  judgeChains(evidence, fail);
}

function sightsOf(operation: Operation): Sight[] {
  const { method } = operation;
  if (method === "identity.create" || method === "identity.update") {
    const record = resultOf<Record_>(operation);
    return record === undefined ? [] : [{ ...record, operation, writes: true }];
  }
  if (method !== "identity.get" && method !== "identity.find") return [];
  const clients = resultOf<{ clients: (Record_ | { error: object })[] }>(operation)?.clients ?? [];
  return clients.flatMap((client) => ("error" in client ? [] : [{ ...client, operation, writes: false }]));
}

/** One content a version, and versions in the order in which they were asked for. */
function judgeVersions(sights: readonly Sight[], fail: Fail): void {
  const inOrder = [...sights].sort((a, b) => a.version - b.version || Number(b.writes) - Number(a.writes));
  let latest: Operation | undefined;
  let held: Sight[] = [];
  for (const sight of inOrder) {
    const { operation, version } = sight;
    const [same] = held;
    if (same !== undefined && same.version < version) {
      for (const { operation: before } of held) if (before.invokedMs > (latest?.invokedMs ?? 0)) latest = before;
      held = [];
    } else if (same !== undefined) {
      if (same.writes && sight.writes)
        fail("G4", `two changes made version ${version}: ${describe(same.operation)}`, operation);
      if (textOf(same) !== textOf(sight)) fail("G4", `version ${version} has two contents`, operation);
    }
    if (latest !== undefined && latest.invokedMs > operation.returnedMs) {
      fail("G4", `saw version ${version} before ${describe(latest)} asked and got an older one`, operation);
    }
    held.push(sight);
  }
}

/** Nobody finds a client after its end was told, or misses it while nobody has asked for its end. */
function judgeEnd(operations: readonly Operation[], clientId: string, sights: readonly Sight[], fail: Fail): void {
  const ends = operations.filter(({ method, params, outcome }) => {
    return method === "identity.delete" && params["clientId"] === clientId && outcome.kind !== "refused";
  });
  const endedMs = Math.min(
    ...ends.filter(({ outcome }) => outcome.kind === "done").map(({ returnedMs }) => returnedMs),
  );
  const askedMs = Math.min(...ends.map(({ invokedMs }) => invokedMs));
  for (const { operation } of sights) {
    if (operation.invokedMs > endedMs) fail("G4", `${clientId} was found after its end`, operation);
  }
  const madeMs = Math.min(...sights.map(({ operation }) => operation.returnedMs));
  for (const operation of operations) {
    if (!missed(operation, clientId) || operation.invokedMs < madeMs) continue;
    if (operation.returnedMs < askedMs) fail("G3", `${clientId} was not found`, operation);
  }
}

function missed(operation: Operation, clientId: string): boolean {
  const { method, params, outcome } = operation;
  if (method === "identity.get" && (params["clientIds"] as string[])[0] === clientId) {
    return "error" in (resultOf<{ clients: object[] }>(operation)?.clients[0] ?? {});
  }
  const isIts = params["clientId"] === clientId && (method === "identity.update" || method === "identity.delete");
  return isIts && outcome.kind === "refused" && outcome.reason === "CLIENT_NOT_FOUND";
}

function judgeHandles(operations: readonly Operation[], fail: Fail): void {
  const creates = operations.filter(({ method }) => method === "identity.create");
  const byHandle = groupedBy(creates, ({ params }) =>
    Buffer.from(params["clientIdentity"] as Uint8Array).toString("hex"),
  );
  const deletes = (clientId: string | undefined): Operation[] =>
    operations.filter(({ method, params }) => method === "identity.delete" && params["clientId"] === clientId);
  for (const contenders of byHandle.values()) {
    const holders = contenders.flatMap((create) => {
      const clientId = resultOf<Record_>(create)?.clientId;
      if (clientId === undefined) return [];
      const ends = deletes(clientId).filter(({ outcome }) => outcome.kind !== "refused");
      return [{ create, clientId, freeFromMs: Math.min(...ends.map(({ invokedMs }) => invokedMs)), ends }];
    });
    for (const [n, one] of holders.entries()) {
      for (const other of holders.slice(n + 1)) {
        const apart = one.freeFromMs < other.create.returnedMs || other.freeFromMs < one.create.returnedMs;
        if (!apart) fail("G4", `a handle has two holders: ${describe(one.create)}`, other.create);
      }
    }
    for (const create of contenders) {
      if (create.outcome.kind !== "refused" || create.outcome.reason !== "HANDLE_TAKEN") continue;
      const explained = contenders.some((other) => {
        if (other === create || other.invokedMs > create.returnedMs) return false;
        // One that was refused for want of an owner or of time may have reserved it, for 45 s at most (rule 5).
        if (other.outcome.kind === "refused" && other.outcome.reason === "HANDLE_TAKEN") return false;
        const ends = deletes(resultOf<Record_>(other)?.clientId).filter(({ outcome }) => outcome.kind === "done");
        return !ends.some(({ returnedMs }) => returnedMs < create.invokedMs);
      });
      if (!explained) fail("G4", "was told that a free handle is taken", create);
    }
  }
}

/** A search finds every client that had the tag all through it, and none that had it at no time of it. */
function judgeFind(
  { operations }: Evidence["load"],
  find: Operation,
  byClient: ReadonlyMap<string, Sight[]>,
  fail: Fail,
): void {
  const found = resultOf<{ clients: Record_[] }>(find)?.clients;
  const [tag = ""] = find.params["all"] as string[];
  if (found === undefined) return;
  for (const { clientId, tags } of found) {
    if (!tags.includes(tag)) fail("G4", `found ${clientId} without the tag`, find);
  }
  for (const [clientId, sights] of byClient) {
    const changes = operations.filter(({ params, method, invokedMs, outcome }) => {
      const isChange = method === "identity.update" || method === "identity.delete";
      return isChange && params["clientId"] === clientId && outcome.kind !== "refused" && invokedMs < find.returnedMs;
    });
    const writes = sights.filter(({ writes, operation }) => writes && operation.returnedMs < find.invokedMs);
    const last = writes.reduce<Sight | undefined>(
      (a, b) => (a === undefined || b.version > a.version ? b : a),
      undefined,
    );
    if (last === undefined) continue;
    const settled = changes.every((change) => change === last.operation || isOlder(change, last, sights));
    if (!settled) continue;
    const isFound = found.some((client) => client.clientId === clientId);
    if (isFound !== last.tags.includes(tag)) {
      fail("G4", `${isFound ? "found" : "missed"} ${clientId} by the tag ${tag} of ${describe(last.operation)}`, find);
    }
  }
}

function isOlder(change: Operation, last: Sight, sights: readonly Sight[]): boolean {
  const its = sights.find(({ operation }) => operation === change);
  return its !== undefined && its.version < last.version;
}

/** Every handle is free, or held by a client that has it; the index has each client's tags and no others. */
function judgeChains({ world, load, stateOf }: Evidence, fail: Fail): void {
  const { applicationId } = load;
  const indexed = new Map<string, Set<string>>();
  for (const tag of ["red", "green", "blue", "owner"]) {
    for (const { clientId } of world.tags.read(applicationId, indexedTag(tag), "", 10_000)) {
      indexed.set(clientId, (indexed.get(clientId) ?? new Set<string>()).add(tag));
    }
  }
  for (const key of world.data.shards.flatMap((shard) => shard.actors())) {
    const address = parseActorKey(key);
    const state = stateOf(address);
    if (address.kind === "handle") {
      if (state?.value === "reserved") fail("G8", `the handle ${key} is still reserved`);
      if (state?.value !== "held") continue;
      const holder = stateOf({ applicationId, kind: "identity", id: String(state.context["clientId"]) });
      const has = (holder?.context["identity"] as { handleId?: string } | undefined)?.handleId === address.id;
      if (holder?.value !== "active" || !has) fail("G8", `${key} is held by a client that does not have it`);
    }
    if (address.kind === "identity") {
      const tags = state?.value === "active" ? (state.context["tags"] as string[]) : [];
      const has = [...(indexed.get(address.id) ?? [])];
      if ([...tags].sort().join() !== has.sort().join()) {
        fail("G8", `the index has ${actorKey(address)} under ${has.join()}, and its tags are ${tags.join()}`);
      }
    }
  }
}

function textOf({ clientId, handle, tags }: Record_): string {
  return JSON.stringify([clientId, handle, tags]);
}
