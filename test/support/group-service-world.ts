// The group services as app.ts wires them, on an actor host and the embedded store, without sockets: what one group
// costs, in the processor and in bytes handed to the store. The clock stands still at the synthetic groups' instant.
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ActorHost } from "../../src/actors/actor-host.ts";
import type { ActorKind, Command, Outcome } from "../../src/actors/actor-port.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { Watermarks } from "../../src/cluster/watermarks.ts";
import { Ownership } from "../../src/cluster/ownership.ts";
import { loadConfig } from "../../src/load-config.ts";
import type { MethodName, Params } from "../../src/protocol/methods.ts";
import { paramsDigest } from "../../src/protocol/params-digest.ts";
import { defaultSettings, type Settings } from "../../src/protocol/schemas/application.ts";
import { ApplicationDirectory } from "../../src/services/application-directory.ts";
import { ExternalSenders } from "../../src/services/external-senders.ts";
import { FullTracking } from "../../src/services/full-tracking.ts";
import { GroupDirectory } from "../../src/services/group-directory.ts";
import { GroupFollower } from "../../src/services/group-follower.ts";
import { GroupInfoChecks } from "../../src/services/group-info-checks.ts";
import { GroupLifecycleService } from "../../src/services/group-lifecycle-service.ts";
import { GroupService } from "../../src/services/group-service.ts";
import { HandshakeService } from "../../src/services/handshake-service.ts";
import { IdentityProviders } from "../../src/services/identity-provider-choice.ts";
import { IdentityService } from "../../src/services/identity-service.ts";
import { OrderingTracking } from "../../src/services/ordering-tracking.ts";
import { Removals } from "../../src/services/removals.ts";
import type { Answer } from "../../src/services/request-port.ts";
import { deriveSecrets } from "../../src/services/secrets.ts";
import { groupActorId, type ApplicationRequest, type ServicePorts } from "../../src/services/service-ports.ts";
import { Successors } from "../../src/services/successors.ts";
import { TagDirectory } from "../../src/services/tag-directory.ts";
import { TreeWorkers } from "../../src/services/tree-workers.ts";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import type { Operation, Store } from "../../src/store/store.ts";
import { NOW_MS } from "./synthetic-structs.ts";

export const APPLICATION = "11111111-1111-4111-8111-111111111111";
const TTL_MS = 600_000;
/** Between two tries. */
const AGAIN_MS = 50;
/** Clients made at once. */
const REGISTERED_AT_ONCE = 256;

export interface GroupServiceWorldOptions {
  /** A store of the caller's, which closes it; default: an embedded one, synced, in a folder of its own. */
  readonly store?: Store;
  readonly settings?: Partial<Settings>;
}

export class GroupServiceWorld {
  readonly settings: Settings;
  /** All that was handed to the store since it was last emptied. */
  readonly written: Operation[] = [];
  /** Sums over all batches that were committed: answers that waited for one, its operations, until it was sent. */
  readonly batches = { count: 0, operations: 0, answers: 0, waitMs: 0 };
  readonly workers: TreeWorkers;
  readonly checks: GroupInfoChecks;
  readonly #closeStore: () => Promise<void>;
  readonly #host: ActorHost;
  readonly #lives: GroupLifecycleService;
  readonly #handshakes: HandshakeService;
  readonly #identities: IdentityService;
  readonly #groups: GroupService;
  readonly #senders: ExternalSenders;
  readonly #removals: Removals;

  private constructor(store: Store, settings: Partial<Settings>, closeStore: () => Promise<void>) {
    const open = { strangers: true, externalJoin: "open", groupMembersMax: 60_000 } as const;
    this.settings = { ...defaultSettings, ...open, ...settings };
    this.#closeStore = closeStore;
    const loaded = loadConfig({ flags: [], environment: {}, readFile: () => "{}" });
    if (loaded.kind !== "config") throw new Error("the defaults are refused");
    const { limits } = loaded.config;
    const counted = countedStore(store, this.written);
    this.#host = new ActorHost({
      store: counted,
      actors: { call: (call) => this.#host.call(call) },
      forgetApplication: () => Promise.resolve(),
      clock: { now: () => NOW_MS },
      claims: new Ownership({
        store: counted,
        nodeId: () => "bench",
        address: () => "127.0.0.1:1",
        stance: () => "claim",
        watermarks: new Watermarks(store.shardCount),
        lineageChanged: () => undefined,
        retryMinMs: 1,
        retryMaxMs: 20,
      }),
      catalogue: machineCatalogue,
      limits,
      events: {
        batchCommitted: (operations, answers, waitMs) => {
          this.batches.count += 1;
          this.batches.operations += operations;
          this.batches.answers += answers;
          this.batches.waitMs += waitMs;
        },
        shardLost: () => undefined,
        shardReleased: () => undefined,
        shardClaimed: () => undefined,
        snapshotTooNew: () => undefined,
        actorFailed: (_, cause) => {
          throw cause;
        },
        actorsLive: () => undefined,
      },
      published: () => undefined,
      purged: () => undefined,
      proposeRemovals: () => Promise.resolve(),
      tooNew: () => undefined,
      seal: (plain) => plain,
      open: (sealed) => sealed,
    });
    const ports: ServicePorts = {
      store: counted,
      actors: this.#host,
      clock: { now: () => NOW_MS },
      identityProviders: new IdentityProviders(),
      newId: randomUUID,
      turn: () => Promise.resolve(),
    };
    const groups = new GroupDirectory(ports);
    const follower = new GroupFollower(ports, groups, limits);
    this.#senders = new ExternalSenders(ports, deriveSecrets(randomBytes(32).toString("hex")));
    const full = new FullTracking(ports, groups, follower, this.#senders);
    const directory = new ApplicationDirectory(store);
    this.#removals = new Removals({ ports, directory, groups, follower, senders: this.#senders });
    this.workers = new TreeWorkers(limits, (error) => {
      throw error as Error;
    });
    this.checks = new GroupInfoChecks(ports, this.workers);
    const successors = new Successors(ports, groups);
    this.#lives = new GroupLifecycleService(ports, groups, successors, this.checks, full);
    const ordering = new OrderingTracking(groups, this.checks);
    this.#handshakes = new HandshakeService(ports, groups, successors, { full, ordering });
    this.#identities = new IdentityService(ports, new TagDirectory(ports), limits);
    this.#groups = new GroupService(ports, groups, follower);
  }

  static async open({ store: given, settings = {} }: GroupServiceWorldOptions = {}): Promise<GroupServiceWorld> {
    const folder = await mkdtemp(path.join(tmpdir(), "aegis-groups-"));
    const store = given ?? (await openLmdbStore({ path: folder, durability: "fsync", shardCount: 4 }));
    const world = new GroupServiceWorld(store, settings, async () => {
      if (given === undefined) await store.close();
      await rm(folder, { recursive: true, force: true });
    });
    world.#host.start();
    await Promise.all(Array.from({ length: store.shardCount }, (_, shard) => world.#host.acquire(shard)));
    return world;
  }

  create(params: Params<"group.create">): Promise<Answer> {
    return this.#lives.create(this.request("group.create", params), params);
  }

  delete(params: Params<"group.delete">): Promise<Answer> {
    return this.#lives.delete(this.request("group.delete", params), params);
  }

  /**
   * Sends a message as another node's router hands it to the owner, each time under another idempotency key. What the
   * other node has to do for it is done beforehand.
   */
  sender(groupId: Uint8Array, message: Uint8Array): () => Promise<Outcome> {
    const to = { applicationId: APPLICATION, kind: "group", id: groupActorId(groupId) } as const;
    const command = this.sendCommand(message);
    const digest = paramsDigest("group.send", { groupId, message });
    const keys = randomUUID();
    let sent = 0;
    return () => {
      sent += 1;
      const key = { key: `${keys}-${String(sent)}`, digest, secret: false };
      return this.#host.call({ to, command, deadline: performance.now() + TTL_MS, key });
    };
  }

  sendCommand(message: Uint8Array): Command {
    return { type: "sendMessage", epoch: "0", message, governed: this.settings } as Command;
  }

  commit(params: Params<"group.commit">): Promise<Answer> {
    return this.#handshakes.commit(this.request("group.commit", params), params);
  }

  get(params: Params<"group.get">): Promise<Answer> {
    return this.#groups.get(this.request("group.get", params), params);
  }

  tree(params: Params<"group.tree">): Promise<Answer> {
    return this.#groups.tree(this.request("group.tree", params), params);
  }

  members(params: Params<"group.members">): Promise<Answer> {
    return this.#groups.members(this.request("group.members", params), params);
  }

  list(clientId: string, deadline?: number): Promise<Answer> {
    const request = this.request("group.list", { clientId });
    return this.#groups.list({ ...request, deadline: deadline ?? request.deadline }, { clientId });
  }

  /** As the outbox of a group tells a client that it is a member. */
  tellMembership(clientId: string, groupId: Uint8Array): Promise<void> {
    const membership = { groupActorId: groupActorId(groupId), groupId, member: true };
    const { inboxRetention: retention } = this.settings;
    return this.#tell("identity", clientId, { type: "deliver", membership, retention } as Command);
  }

  /** As the outbox of a client that was deleted tells a group that it was a member of. */
  tellDeleted(groupId: Uint8Array, clientId: string): Promise<void> {
    return this.#tell("group", groupActorId(groupId), { type: "removeClient", clientId } as Command);
  }

  /** Makes the application itself, with its keys for the back-end's own proposals. */
  async externalSender(ciphersuite: number): Promise<Uint8Array> {
    const senders = this.#senders.make(APPLICATION, [ciphersuite]);
    const key = { keyId: "k", scopes: [], createdAt: NOW_MS, mac: "" };
    const command = { type: "create", name: "bench", settings: this.settings, key, senders };
    await this.#tell("application", APPLICATION, command);
    return senders[0]?.externalSender ?? new Uint8Array(0);
  }

  proposeRemovals(groupId: Uint8Array): Promise<void> {
    return this.#removals.propose(APPLICATION, groupId);
  }

  async #tell(kind: ActorKind, id: string, command: Command): Promise<void> {
    const to = { applicationId: APPLICATION, kind, id };
    const told = await this.#host.call({ to, command, deadline: performance.now() + TTL_MS });
    if (told.kind === "refused") throw new Error(told.refusal.reason);
  }

  /** A client for each credential; their ids, in order. */
  async register(credentials: readonly Uint8Array[]): Promise<string[]> {
    const ids: string[] = [];
    for (let from = 0; from < credentials.length; from += REGISTERED_AT_ONCE) {
      const some = credentials.slice(from, from + REGISTERED_AT_ONCE);
      ids.push(...(await Promise.all(some.map((clientIdentity) => this.#registered(clientIdentity)))));
    }
    return ids;
  }

  async #registered(clientIdentity: Uint8Array): Promise<string> {
    const params = { clientIdentity, tags: [] };
    // Under one key, as the client would: a busy machine may lose a shard meanwhile.
    const key = randomUUID();
    for (;;) {
      const request = { ...this.request("identity.create", params), key };
      const answer = await this.#identities.create(request, params);
      if (answer.kind === "done") return (answer.result as { clientId: string }).clientId;
      if (!answer.refusal.retryable) throw new Error(JSON.stringify(answer.refusal));
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  request(method: MethodName, params: unknown): ApplicationRequest {
    return {
      method,
      params,
      principal: { kind: "application", applicationId: APPLICATION, keyId: "bench", scopes: ["group"] },
      session: "bench",
      deadline: performance.now() + TTL_MS,
      applicationId: APPLICATION,
      settings: this.settings,
    };
  }

  async close(): Promise<void> {
    await this.workers.close();
    await this.#host.stop();
    await this.#closeStore();
  }
}

/** The store, with what goes into each batch put down in `written`. */
function countedStore(store: Store, written: Operation[]): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "commit") {
        return (...[shard, fence, sequence, operations]: Parameters<Store["commit"]>) => {
          written.push(...operations);
          return target.commit(shard, fence, sequence, operations);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Bytes of names and values. */
export function payloadBytes(operations: readonly Operation[]): number {
  let bytes = 0;
  for (const operation of operations) {
    if ("actor" in operation) bytes += operation.actor.length;
    if ("name" in operation) bytes += operation.name.length;
    if ("id" in operation) bytes += operation.id.length;
    if ("bytes" in operation) bytes += operation.bytes.length;
    if ("entry" in operation) bytes += operation.entry.body.length;
  }
  return bytes;
}
