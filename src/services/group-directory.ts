// What the store knows of groups, for services: heads, members' clients, trees. Reads only (L3).
import type { ActorAddress } from "../actors/actor-port.ts";
import type { GroupContext, JudgedEpoch } from "../actors/group-state.ts";
import { TREE_SLICE_BYTES, treeSlicePart, type KeptTree } from "../actors/group-trees.ts";
import { pastTree, pastTreePrefix } from "../actors/past-trees.ts";
import type { HandleContext } from "../actors/handle-machine.ts";
import type { IdentityContext } from "../actors/identity-machine.ts";
import { readRatchetTreeWork } from "../mls/ratchet-tree.ts";
import { isCiphersuite } from "../mls/suites.ts";
import type { PublicTree } from "../mls/tree/public-tree.ts";
import { TreeHasher } from "../mls/tree/tree-hasher.ts";
import type { Holder } from "../mls/whole-tree.ts";
import { finishInSteps } from "../mls/work.ts";
import { EpochBeginnings, type EpochBeginning } from "./epoch-beginnings.ts";
import { GroupRoster, type GroupPlace } from "./group-roster.ts";
import {
  groupActorId,
  handleActorId,
  pause,
  placeOf,
  readRecord,
  readRecords,
  type ApplicationRequest,
  type ServicePorts,
} from "./service-ports.ts";

export interface GroupHead {
  readonly state: "active" | "reinit";
  readonly context: GroupContext;
}

/** What is left of a group whose id is taken for ever. */
export interface ClosedGroup {
  readonly state: "closed";
  readonly context: GroupContext;
}

/** What a command tells the group's actor of the head that it was judged by. */
export function judgedEpoch({ epoch, begunBy }: GroupContext): JudgedEpoch {
  return begunBy === undefined ? { epoch } : { epoch, begunBy };
}

export interface GroupPosition {
  readonly lineage: string;
  readonly offset: number;
}

/** Credentials, and whom the identity provider sees in each; undefined: nobody. */
export interface Held {
  readonly count: number;
  readonly holder: (n: number) => Holder | undefined;
  readonly credential: (n: number) => Uint8Array;
}

/** Parsed trees kept; each is of one epoch of one group. */
const TREES_MAX = 32;
/** Credentials are judged in a row for so long; then others have their turn. */
const JUDGING_MS_MAX = 10;
/** Records of holders that are read and decoded in a row. */
const HOLDERS_AT_ONCE = 64;

export class GroupDirectory {
  readonly #ports: ServicePorts;
  readonly #trees = new Map<string, PublicTree>();
  readonly #beginnings: EpochBeginnings;
  readonly roster: GroupRoster;

  constructor(ports: ServicePorts) {
    this.#ports = ports;
    this.#beginnings = new EpochBeginnings(ports.store);
    this.roster = new GroupRoster(ports.store);
  }

  address(applicationId: string, groupId: Uint8Array): ActorAddress {
    return { applicationId, kind: "group", id: groupActorId(groupId) };
  }

  /** undefined: no such group, or it is closed. */
  async head(applicationId: string, groupId: Uint8Array): Promise<GroupHead | undefined> {
    const head = await this.headOrClosed(applicationId, groupId);
    return head?.state === "closed" ? undefined : head;
  }

  /** undefined: there never was such a group. */
  async headOrClosed(applicationId: string, groupId: Uint8Array): Promise<GroupHead | ClosedGroup | undefined> {
    const record = await readRecord<GroupContext>(this.#ports.store, this.address(applicationId, groupId));
    if (record === undefined) return undefined;
    const { state, context } = record;
    return state === "active" || state === "reinit" || state === "closed" ? { state, context } : undefined;
  }

  /** Where the group's log ends, under the lineage that it has now. */
  async position(applicationId: string, { context }: GroupHead | ClosedGroup): Promise<GroupPosition> {
    const address = { applicationId, kind: "group", id: context.id } as const;
    const { shard, actor } = placeOf(this.#ports.store, address);
    const { lineage } = await this.#ports.store.readStreamHead(shard, actor);
    return { lineage, offset: context.window.last };
  }

  /** undefined: the epoch was begun too long ago, or by the group's creation. */
  beginning(applicationId: string, groupId: Uint8Array, epoch: bigint): Promise<EpochBeginning | undefined> {
    const { shard, actor } = placeOf(this.#ports.store, this.address(applicationId, groupId));
    return this.#beginnings.of(shard, actor, epoch);
  }

  /** The offset after which a member goes on that has followed the group into an epoch: the present one or an earlier. */
  async offsetAfter(applicationId: string, { context }: GroupHead, epoch: bigint): Promise<number> {
    if (String(epoch) === context.epoch && context.begun !== undefined) return context.begun;
    const { shard, actor } = placeOf(this.#ports.store, { applicationId, kind: "group", id: context.id });
    return this.#beginnings.offsetAfter(shard, actor, epoch);
  }

  /** `ordering`: the tree of an epoch, the present one or an earlier; undefined: it is not kept. */
  async keptTree(applicationId: string, context: GroupContext, epoch: bigint): Promise<KeptTree | undefined> {
    const kept = context.trees.find((tree) => tree.epoch === String(epoch));
    if (kept !== undefined || epoch >= BigInt(context.epoch)) return kept;
    const { shard, actor } = this.place(applicationId, context);
    const query = { prefix: pastTreePrefix(String(epoch)), limit: 1 };
    const [part] = await this.#ports.store.listParts(shard, actor, query);
    return part === undefined ? undefined : pastTree(part.name, part.bytes);
  }

  /** The encoded tree's bytes [from, from + bytesMax). */
  async treeSlice(
    applicationId: string,
    groupId: Uint8Array,
    tree: KeptTree,
    from: number,
    bytesMax: number,
  ): Promise<Uint8Array | undefined> {
    const end = Math.min(from + bytesMax, tree.bytes);
    if (from >= end) return new Uint8Array(0);
    const first = Math.floor(from / TREE_SLICE_BYTES);
    const last = Math.floor((end - 1) / TREE_SLICE_BYTES);
    const names = Array.from({ length: last - first + 1 }, (_, n) => treeSlicePart(tree.epoch, first + n));
    const { shard, actor } = placeOf(this.#ports.store, this.address(applicationId, groupId));
    const slices = await this.#ports.store.readParts(shard, actor, names);
    if (slices.includes(undefined)) return undefined;
    const joined = Buffer.concat(slices as Uint8Array[]);
    const skipped = from - first * TREE_SLICE_BYTES;
    return Uint8Array.from(joined.subarray(skipped, skipped + end - from));
  }

  /** The present epoch's tree where one was given; parsed once an epoch. */
  async currentTree(applicationId: string, { context }: GroupHead): Promise<PublicTree | undefined> {
    const kept = context.trees.find((tree) => tree.epoch === context.epoch);
    if (kept === undefined || !isCiphersuite(context.ciphersuite)) return undefined;
    const name = `${applicationId}/${context.id}/${context.epoch}/${kept.treeHash}`;
    const known = this.#trees.get(name);
    if (known !== undefined) return known;
    const groupId = Buffer.from(context.groupId, "base64");
    const bytes = await this.treeSlice(applicationId, groupId, kept, 0, kept.bytes);
    if (bytes === undefined) return undefined;
    const decoded = await finishInSteps(readRatchetTreeWork(bytes, new TreeHasher(context.ciphersuite)), pause);
    if (decoded.kind !== "ok") return undefined;
    this.#trees.set(name, decoded.value);
    if (this.#trees.size > TREES_MAX) this.#trees.delete(this.#trees.keys().next().value ?? "");
    return decoded.value;
  }

  /** Registered clients by their credentials; undefined where the credential is nobody's current identity. */
  async clientsOf(request: ApplicationRequest, credentials: readonly Uint8Array[]): Promise<(string | undefined)[]> {
    const provider = this.#ports.identityProviders.of(request.settings);
    const now = this.#ports.clock.now();
    const holders: (Holder | undefined)[] = [];
    let begunAtMs = performance.now();
    for (const credential of credentials) {
      const verdict = provider.validate(credential, now);
      holders.push(verdict.valid ? verdict : undefined);
      if (performance.now() - begunAtMs < JUDGING_MS_MAX) continue;
      await pause();
      begunAtMs = performance.now();
    }
    return this.clientsHolding(request.applicationId, {
      count: credentials.length,
      holder: (n) => holders[n],
      credential: (n) => credentials[n] as Uint8Array,
    });
  }

  /** As `clientsOf`, where the identity provider has been asked already. */
  async clientsHolding(applicationId: string, { count, holder, credential }: Held): Promise<(string | undefined)[]> {
    const found: (string | undefined)[] = [];
    for (let from = 0; from < count; from += HOLDERS_AT_ONCE) {
      if (from > 0) await pause();
      const some = Array.from({ length: Math.min(HOLDERS_AT_ONCE, count - from) }, (_, n) => from + n);
      found.push(...(await this.#clientsHolding(applicationId, some.map(holder), some.map(credential))));
    }
    return found;
  }

  async #clientsHolding(
    applicationId: string,
    holders: readonly (Holder | undefined)[],
    credentials: readonly Uint8Array[],
  ): Promise<(string | undefined)[]> {
    const ids = holders.map((holder) => (holder === undefined ? "" : handleActorId(holder.handle, holder.domain)));
    const addresses = ids.map((id) => ({ applicationId, kind: "handle" as const, id }));
    const handles = await readRecords<HandleContext>(this.#ports.store, addresses);
    const clients = handles.map((handle) => handle?.context.clientId ?? "");
    const identities = await this.identities(applicationId, clients);
    return identities.map((identity, n) => {
      const encoded = Buffer.from(credentials[n] ?? new Uint8Array(0)).toString("base64");
      return identity?.identity?.credential === encoded ? identity.id : undefined;
    });
  }

  place(applicationId: string, { id }: Pick<GroupContext, "id">): GroupPlace {
    return placeOf(this.#ports.store, { applicationId, kind: "group", id });
  }

  async isMember(applicationId: string, context: GroupContext, clientId: string): Promise<boolean> {
    const [standing] = await this.roster.standing(this.place(applicationId, context), context, [clientId]);
    return standing !== undefined;
  }

  async identities(applicationId: string, clientIds: readonly string[]): Promise<(IdentityContext | undefined)[]> {
    const addresses = clientIds.map((id) => ({ applicationId, kind: "identity" as const, id }));
    const records = await readRecords<IdentityContext>(this.#ports.store, addresses);
    return records.map((record) => (record?.state === "active" ? record.context : undefined));
  }
}
