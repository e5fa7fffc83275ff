// Where streams begin, and reading and acknowledging them without a subscription (PROTOCOL §3). Reads come
// from the store; an acknowledgement is a command to the client's actor.
import type { ActorAddress } from "../actors/actor-port.ts";
import { actorKey } from "../actors/actor-address.ts";
import type { IdentityContext } from "../actors/identity-machine.ts";
import { decode } from "../protocol/codec.ts";
import type { Params } from "../protocol/methods.ts";
import { StoreUnavailable, type ActorKey } from "../store/store.ts";
import type { GroupDirectory } from "./group-directory.ts";
import { InboxReader } from "./inbox-reader.ts";
import type { Answer } from "./request-port.ts";
import {
  ask,
  done,
  groupActorId,
  placeOf,
  readRecord,
  refused,
  refusedUnlessRemembered,
  type ApplicationRequest,
  type ServicePorts,
} from "./service-ports.ts";
import type {
  ResolvedStream,
  StreamAfter,
  StreamDirectory,
  StreamName,
  StreamPosition,
  StreamResolution,
} from "./stream-directory.ts";

/** Time limit of an acknowledgement that came as a frame. */
const ACKNOWLEDGE_MS = 10_000;
const READ_BYTES_MAX = 2_097_152;

interface Bounds {
  readonly first: number;
  readonly last: number;
  readonly lineage: string;
}

export class StreamService implements StreamDirectory {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;
  readonly #inboxes: InboxReader;

  constructor(ports: ServicePorts, groups: GroupDirectory) {
    this.#ports = ports;
    this.#groups = groups;
    this.#inboxes = new InboxReader(ports.store);
  }

  actorOf(applicationId: string, name: StreamName): ActorKey {
    return actorKey(addressOf(applicationId, name));
  }

  async resolve(applicationId: string, name: StreamName, after: StreamAfter | undefined): Promise<StreamResolution> {
    try {
      return await this.#resolve(applicationId, name, after);
    } catch (error) {
      if (error instanceof StoreUnavailable) return refused("STORE_UNAVAILABLE");
      throw error;
    }
  }

  async acknowledge(
    applicationId: string,
    clientId: string,
    position: StreamPosition,
  ): Promise<Awaited<ReturnType<StreamDirectory["acknowledge"]>>> {
    const to = addressOf(applicationId, { kind: "client", id: clientId });
    const { shard, actor } = placeOf(this.#ports.store, to);
    try {
      const { lineage } = await this.#ports.store.readStreamHead(shard, actor);
      if (lineage !== position.lineage) return refused("LINEAGE_CHANGED");
    } catch (error) {
      if (error instanceof StoreUnavailable) return refused("STORE_UNAVAILABLE");
      throw error;
    }
    const command = { type: "acknowledge", offset: position.offset } as { type: string };
    const outcome = await this.#ports.actors.call({ to, command, deadline: performance.now() + ACKNOWLEDGE_MS });
    return outcome.kind === "refused" ? outcome : { kind: "done" };
  }

  /** `stream.acknowledge`: answers the position acknowledged now, which may be later than the one sent. */
  async acknowledgeRequest(request: ApplicationRequest, params: Params<"stream.acknowledge">): Promise<Answer> {
    const to = addressOf(request.applicationId, { kind: "client", id: params.id });
    const { shard, actor } = placeOf(this.#ports.store, to);
    const isThere = (await readRecord<IdentityContext>(this.#ports.store, to))?.state === "active";
    const { lineage } = await this.#ports.store.readStreamHead(shard, actor);
    if (lineage !== params.position.lineage) return refused(isThere ? "LINEAGE_CHANGED" : "STREAM_NOT_FOUND");
    const command = { type: "acknowledge", offset: params.position.offset };
    const outcome = isThere
      ? await ask(this.#ports, request, to, command, true)
      : await refusedUnlessRemembered(this.#ports, request, to, "STREAM_NOT_FOUND");
    if (outcome.kind === "refused") {
      return outcome.refusal.reason === "CLIENT_NOT_FOUND" ? refused("STREAM_NOT_FOUND") : outcome;
    }
    const { offset } = outcome.value as { offset: number };
    return done({ position: { lineage: outcome.lineage, offset } });
  }

  async read(request: ApplicationRequest, params: Params<"stream.read">): Promise<Answer> {
    const name = { kind: params.kind, id: params.id };
    const resolved = await this.#resolve(request.applicationId, name, params.after);
    if (resolved.kind === "refused") return resolved;
    const { shard, actor } = placeOf(this.#ports.store, addressOf(request.applicationId, name));
    const query = { after: resolved.from, limit: params.limit, bytesMax: READ_BYTES_MAX };
    const { entries, head, lineage } = await this.#inboxes.readStream(shard, actor, query);
    const offset = entries.at(-1)?.offset ?? Math.max(resolved.from, head.first - 1);
    // Events that went between the two looks at the stream.
    const trimmed = resolved.recovered && (entries[0]?.offset ?? head.first) > resolved.from + 1;
    return done({
      events: entries.map((entry) => [entry.offset, entry.time, entry.type, decode(entry.body)]),
      position: { lineage, offset },
      more: offset < head.last,
      recovered: resolved.recovered && !trimmed,
      ...(trimmed ? { reason: "TRIMMED" } : resolved.reason === undefined ? {} : { reason: resolved.reason }),
    });
  }

  async #resolve(applicationId: string, name: StreamName, after: StreamAfter | undefined): Promise<StreamResolution> {
    const address = addressOf(applicationId, name);
    const { shard, actor } = placeOf(this.#ports.store, address);
    const { head, lineage } = await this.#ports.store.readStreamHead(shard, actor);
    const bounds = { first: head.first, last: head.last, lineage };
    if (name.kind === "client") {
      const record = await readRecord<IdentityContext>(this.#ports.store, address);
      if (record?.state !== "active") return refused("STREAM_NOT_FOUND");
      const { acknowledged } = record.context.inbox;
      if (typeof after === "object" && "epoch" in after) return refused("BAD_PARAMS", { details: { path: "after" } });
      return begin(actor, reaching(bounds, acknowledged), after ?? { lineage, offset: acknowledged });
    }
    const group = await this.#groups.head(applicationId, name.id as Uint8Array);
    if (group === undefined) return refused("STREAM_NOT_FOUND");
    if (typeof after === "object" && "epoch" in after) {
      const { epoch } = group.context;
      if (after.epoch > BigInt(epoch)) return refused("EPOCH_AHEAD", { details: { epoch: BigInt(epoch) } });
      const offset = await this.#groups.offsetAfter(applicationId, group, after.epoch);
      return begin(actor, reaching(bounds, offset), { lineage, offset });
    }
    return begin(actor, bounds, after ?? "now");
  }
}

function addressOf(applicationId: string, { kind, id }: StreamName): ActorAddress {
  if (kind === "client") return { applicationId, kind: "identity", id: id as string };
  return { applicationId, kind: "group", id: groupActorId(id as Uint8Array) };
}

/** What was written after the look at the stream's head is no lost history. */
function reaching({ last, ...bounds }: Bounds, offset: number): Bounds {
  return { ...bounds, last: Math.max(last, offset) };
}

function begin(
  actor: ActorKey,
  { first, last, lineage }: Bounds,
  after: StreamPosition | "start" | "now",
): ResolvedStream {
  const oldest = first - 1;
  const at = (from: number, reason?: "TRIMMED" | "LINEAGE_CHANGED"): ResolvedStream => ({
    kind: "ok",
    actor,
    from,
    recovered: reason === undefined,
    ...(reason === undefined ? {} : { reason }),
    position: { lineage, offset: from },
    last,
  });
  if (after === "now") return at(last);
  if (after === "start") return at(oldest);
  if (after.lineage !== lineage || after.offset > last) return at(oldest, "LINEAGE_CHANGED");
  return after.offset < oldest ? at(oldest, "TRIMMED") : at(after.offset);
}
