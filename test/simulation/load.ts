// What clients do during a run: contend for epochs, packages and handles through whichever node they reach, repeat
// with the same key as the SDK does, follow groups, and write down what they saw.
import { AegisError } from "../../src/client/aegis-error.ts";
import type { StreamEvent } from "../../src/client/stream-item.ts";
import { methods, type MethodName } from "../../src/protocol/methods.ts";
import { opaqueMessage } from "../support/opaque-messages.ts";
import { credentialNamed, fixtures } from "./fixtures.ts";
import { describe, type Operation, type Outcome } from "./operation.ts";
import { SimClient } from "./sim-client.ts";
import type { World } from "./world.ts";

/** What a follower of a group was given, in order. */
export interface Followed {
  readonly group: number;
  readonly events: { readonly offset: number; readonly type: string; readonly message: string }[];
  /** Why its stream broke, if it did. */
  readonly resets: string[];
}

export interface LoadOptions {
  readonly clients: number;
  readonly followers: number;
  /** Between two calls of one client, at most. */
  readonly pauseMsMax: number;
  readonly mix: Mix;
}

export type Mix = keyof typeof MIXES;
export const mixes = ["all", "groups", "pools", "identities"] as const satisfies readonly Mix[];

const SETTINGS = { claimsPerHour: 1_000_000, keyPoolMax: 1_000 };
const HANDLES = 5;
const TAGS = ["red", "green", "blue"];
const PACKAGES_A_PUBLISH = 3;
/** What a run's calls are drawn from (`#step`): everything, or one kind of actors alone, whose calls then meet. */
const MIXES = { all: [0, 1], groups: [0, 0.42], pools: [0.42, 0.63], identities: [0.63, 1] } as const;

export class Load {
  readonly operations: Operation[] = [];
  readonly followed: Followed[] = [];
  applicationId = "";
  /** Client ids of the pools' owners. */
  readonly owners: string[] = [];
  readonly #world: World;
  readonly #options: LoadOptions;
  readonly #clients: SimClient[] = [];
  /** Clients that somebody was told of. */
  readonly #known = new Set<string>();
  /** Epochs as somebody was told of them. */
  readonly #epochs: bigint[] = fixtures().groups.map(() => 0n);
  readonly #published: number[] = fixtures().pools.map(() => 0);
  /** How many of the groups, and of the pools, are used. */
  readonly #groups: number;
  readonly #pools: number;
  #stopped = false;
  #working = 0;

  constructor(world: World, options: LoadOptions) {
    const { simulator } = world;
    this.#world = world;
    this.#options = options;
    this.#groups = 1 + Math.floor(simulator.random() * this.#epochs.length);
    this.#pools = 1 + Math.floor(simulator.random() * this.#published.length);
  }

  get busy(): boolean {
    return this.#working > 0;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Makes what the load works on. Must run in an event of the outside machine, as everything here. */
  async prepare(): Promise<void> {
    const world = this.#world;
    const operator = new SimClient(world, world.outside);
    const created = await operator.call(
      "application.create",
      { name: "simulated", settings: SETTINGS },
      "create",
      20_000,
    );
    this.applicationId = (created as { applicationId: string }).applicationId;
    const clients = Array.from({ length: this.#options.clients }, () => this.#client());
    this.#clients.push(...clients);
    for (const { credential } of fixtures().pools) {
      const owner = await this.#must("identity.create", { clientIdentity: credential, tags: ["owner"] });
      this.owners.push((owner as { clientId: string }).clientId);
    }
    for (const { groupInfo } of fixtures().groups) {
      await this.#must("group.create", { groupInfo, tracking: "ordering", settings: { externalJoin: "none" } });
    }
    for (let pool = 0; pool < this.owners.length; pool += 1) await this.#publish(0, pool);
  }

  start(): void {
    for (let client = 0; client < this.#clients.length; client += 1) void this.#work(client);
    for (let n = 0; n < this.#options.followers; n += 1) void this.#follow(n % fixtures().groups.length);
  }

  #client(): SimClient {
    return new SimClient(this.#world, this.#world.outside, this.applicationId);
  }

  async #work(client: number): Promise<void> {
    const { simulator } = this.#world;
    this.#working += 1;
    while (!this.#stopped) {
      await new Promise((resolve) => setTimeout(resolve, simulator.between(1, this.#options.pauseMsMax)));
      await this.#step(client);
    }
    this.#working -= 1;
  }

  async #step(client: number): Promise<void> {
    const { simulator } = this.#world;
    const drawn = simulator.between(...(MIXES[this.#options.mix] as unknown as [number, number]));
    const group = Math.floor(simulator.random() * this.#groups);
    const pool = Math.floor(simulator.random() * this.#pools);
    if (drawn < 0.22) await this.#commit(client, group);
    else if (drawn < 0.36) await this.#send(client, group);
    else if (drawn < 0.42) await this.#do(client, "group.get", { groupId: groupId(group), include: [] });
    else if (drawn < 0.54) await this.#claim(client, pool);
    else if (drawn < 0.59) await this.#publish(client, pool);
    else if (drawn < 0.63) await this.#do(client, "keyPool.status", { clientIds: [this.owners[pool]] });
    else if (drawn < 0.73) await this.#create(client);
    else await this.#useIdentity(client, drawn);
  }

  async #useIdentity(client: number, drawn: number): Promise<void> {
    const { simulator } = this.#world;
    const clientId = simulator.pick([...this.#known, this.owners[0] ?? ""]);
    if (drawn < 0.83) {
      const tags = { set: TAGS.filter(() => simulator.chance(0.5)) };
      await this.#do(client, "identity.update", { clientId, tags });
    } else if (drawn < 0.9) await this.#do(client, "identity.get", { clientIds: [clientId] });
    else if (drawn < 0.95) await this.#do(client, "identity.find", { all: [simulator.pick(TAGS)], limit: 1000 });
    else if (!this.owners.includes(clientId)) {
      await this.#do(client, "identity.delete", { clientId });
    }
  }

  async #create(client: number): Promise<void> {
    const { simulator } = this.#world;
    const name = `handle-${String(Math.floor(simulator.random() * HANDLES))}`;
    const tags = TAGS.filter(() => simulator.chance(0.5));
    const made = await this.#do(client, "identity.create", { clientIdentity: credentialNamed(name), tags });
    if (made !== undefined) this.#known.add((made as { clientId: string }).clientId);
  }

  async #commit(client: number, group: number): Promise<void> {
    const commit = opaqueMessage(groupId(group), this.#epochs[group] ?? 0n, "commit");
    const result = await this.#do(client, "group.commit", { groupId: groupId(group), commit });
    const epoch = (result as { epoch?: bigint | number } | undefined)?.epoch;
    if (epoch !== undefined) this.#learnt(group, BigInt(epoch));
  }

  async #send(client: number, group: number): Promise<void> {
    const message = opaqueMessage(groupId(group), this.#epochs[group] ?? 0n, "application");
    await this.#do(client, "group.send", { groupId: groupId(group), message });
  }

  async #claim(client: number, pool: number): Promise<void> {
    await this.#do(client, "keyPool.claim", { targets: [{ clientId: this.owners[pool] }] });
  }

  async #publish(client: number, pool: number): Promise<void> {
    const from = this.#published[pool] ?? 0;
    const some = (fixtures().pools[pool]?.packages ?? []).slice(from, from + PACKAGES_A_PUBLISH);
    if (some.length === 0) return;
    this.#published[pool] = from + some.length;
    const keyPackages = some.map(({ message }) => message);
    await this.#do(client, "keyPool.publish", { clientId: this.owners[pool], keyPackages });
  }

  #learnt(group: number, epoch: bigint): void {
    if (epoch > (this.#epochs[group] ?? 0n)) this.#epochs[group] = epoch;
  }

  /** While nothing goes wrong yet, everything that was acknowledged is there at once. */
  async #must(method: MethodName, params: Record<string, unknown>): Promise<object> {
    const result = await this.#do(0, method, params);
    if (result === undefined) throw new Error(`[G3] in fair weather: ${describe(this.operations.at(-1) as Operation)}`);
    return result;
  }

  /** The result, or undefined when there is none. */
  async #do(clientNumber: number, method: MethodName, params: Record<string, unknown>): Promise<object | undefined> {
    const { simulator } = this.#world;
    const client = this.#clients[clientNumber] as SimClient;
    const number = this.operations.length + 1;
    const key = methods[method].mutates ? `key-${String(number)}` : undefined;
    const operation: Operation = {
      number,
      method,
      params,
      invokedMs: simulator.nowMs,
      ttlMs: simulator.between(2_000, 8_000),
      returnedMs: Number.POSITIVE_INFINITY,
      outcome: { kind: "unknown", reason: "not answered" },
    };
    this.operations.push(operation);
    const unsureBefore = client.unsure;
    try {
      const result = await client.call(method, params, key, operation.ttlMs);
      operation.outcome = { kind: "done", result: result as Record<string, unknown> };
      operation.unsure = client.unsure > unsureBefore;
    } catch (error) {
      if (!(error instanceof AegisError)) throw error;
      operation.outcome = outcomeOf(error, client.unsure > unsureBefore);
      const { epoch } = (error.details ?? {}) as { epoch?: bigint | number };
      if (epoch !== undefined && params["commit"] !== undefined) {
        this.#learnt(groupNumber(params["groupId"] as Uint8Array), BigInt(epoch));
      }
    }
    operation.returnedMs = simulator.nowMs;
    return operation.outcome.kind === "done" ? operation.outcome.result : undefined;
  }

  async #follow(group: number): Promise<void> {
    const client = this.#client();
    const followed: Followed = { group, events: [], resets: [] };
    this.followed.push(followed);
    const subscription = client.subscribe(this.#world.simulator.chance(0.5) ? 4 : 64);
    void subscription.add([{ kind: "group", id: groupId(group), after: "start" }]);
    for await (const item of subscription) {
      if (item.kind === "reset") followed.resets.push(item.reason);
      else followed.events.push(eventOf(item));
    }
  }
}

export function groupId(group: number): Uint8Array {
  return fixtures().groups[group]?.groupId as Uint8Array;
}

function groupNumber(id: Uint8Array): number {
  return fixtures().groups.findIndex(({ groupId: other }) => Buffer.from(other).equals(id));
}

function eventOf(event: StreamEvent): Followed["events"][number] {
  const { message = new Uint8Array(0) } = event.body as { message?: Uint8Array };
  return { offset: event.offset, type: event.type, message: Buffer.from(message).toString("hex") };
}

/** @param unsure an attempt went without an answer, so that it may yet have its effect */
function outcomeOf({ reason, details }: AegisError, unsure: boolean): Outcome {
  if (unsure || reason === "OUTCOME_UNKNOWN") return { kind: "unknown", reason };
  return { kind: "refused", reason, details: details ?? {} };
}
