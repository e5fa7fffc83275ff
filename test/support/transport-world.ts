// A real transport on a free port, over a dispatch that the test writes and streams in memory.
import type { Limits } from "../../src/config.ts";
import { LIMIT_SETTINGS } from "../../src/limit-settings.ts";
import { encode } from "../../src/protocol/codec.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { RunQueue } from "../../src/run-queue.ts";
import { Acknowledgements } from "../../src/services/acknowledgements.ts";
import { Delivery } from "../../src/services/delivery.ts";
import type { Authenticator, Dispatch, Principal, Request, SessionQuotas } from "../../src/services/request-port.ts";
import type { StreamDirectory, StreamName, StreamPosition } from "../../src/services/stream-directory.ts";
import { AegisServer } from "../../src/transport/websocket-server.ts";
import { createTelemetry, type Telemetry } from "../../src/telemetry.ts";
import { StreamWorld } from "./stream-world.ts";

export const APPLICATION = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
export const CLIENT = "0b8f7c2e-2f4e-4a6b-9d0f-1f2e3d4c5b6a";
export const TOKENS = {
  operator: "aegis_op_1",
  all: "aegis_app_1",
  poolOnly: "aegis_pool_1",
  revoked: "aegis_old_1",
  slow: "aegis_slow_1",
};

const PRINCIPALS: Readonly<Record<string, Principal>> = {
  [TOKENS.operator]: { kind: "operator" },
  [TOKENS.all]: {
    kind: "application",
    applicationId: APPLICATION,
    keyId: "app",
    scopes: ["identity", "keyPool", "group"],
  },
  [TOKENS.poolOnly]: { kind: "application", applicationId: APPLICATION, keyId: "pool", scopes: ["keyPool"] },
};

const DEFAULTS = Object.fromEntries(
  Object.entries(LIMIT_SETTINGS).map(([name, { fallback }]) => [name, fallback]),
) as unknown as Limits;

export class TransportWorld implements Authenticator, StreamDirectory {
  readonly streams = new StreamWorld();
  readonly revokedKeys = new Set<string>();
  readonly acknowledged: { clientId: string; position: StreamPosition }[] = [];
  readonly requests: Request[] = [];
  quotasNow: SessionQuotas = {};
  storeAway = false;
  /** Look-ups of streams wait for it. */
  lookUps: Promise<void> = Promise.resolve();
  answer: Dispatch = () => Promise.resolve({ kind: "done", result: {} });
  readonly telemetry: Telemetry;
  readonly delivery: Delivery;
  readonly server: AegisServer;
  readonly log: string[] = [];
  readonly #acknowledgements: Acknowledgements;
  port = 0;

  constructor(limits: Partial<Limits> = {}) {
    this.streams.atOnce = true;
    this.telemetry = createTelemetry({
      level: "info",
      node: "n",
      version: "0",
      destination: { write: (line: string) => this.log.push(line) },
    });
    const all = { ...DEFAULTS, ...limits };
    this.delivery = new Delivery({
      followed: () => undefined,
      store: this.streams,
      shardOf: () => 0,
      limits: all,
      events: this.telemetry,
    });
    this.#acknowledgements = new Acknowledgements(this, all);
    this.server = new AegisServer({
      certificate: undefined,
      host: "127.0.0.1",
      port: 0,
      node: "node-1",
      version: "1.2.3",
      dispatch: (request) => {
        this.requests.push(request);
        return this.answer(request);
      },
      authenticator: this,
      delivery: this.delivery,
      streams: this,
      acknowledgements: this.#acknowledgements,
      otherUpgrades: new Map(),
      runQueue: new RunQueue({ turnMs: all.loopTurnMs }),
      limits: all,
      events: this.telemetry,
    });
  }

  async start(): Promise<this> {
    this.port = await this.server.listen();
    this.server.open();
    return this;
  }

  async stop(): Promise<void> {
    await this.server.close();
    await this.#acknowledgements.flush();
    this.delivery.stop();
  }

  authenticate(token: string): ReturnType<Authenticator["authenticate"]> {
    if (this.storeAway) return Promise.reject(new Error("away"));
    if (token === TOKENS.revoked) return Promise.resolve({ kind: "forbidden" });
    const principal = PRINCIPALS[token];
    return Promise.resolve(principal === undefined ? { kind: "unknown" } : { kind: "ok", principal });
  }

  stillValid(principal: Principal): Promise<boolean> {
    return Promise.resolve(principal.kind === "operator" || !this.revokedKeys.has(principal.keyId));
  }

  quotas(): Promise<SessionQuotas> {
    return Promise.resolve(this.quotasNow);
  }

  actorOf(applicationId: string, { kind, id }: StreamName): string {
    return typeof id === "string"
      ? `${applicationId}/identity/${id}`
      : `${applicationId}/${kind}/${Buffer.from(id).toString("hex")}`;
  }

  /** Every stream exists but the group `00`. */
  async resolve(
    applicationId: string,
    name: StreamName,
    after: Parameters<StreamDirectory["resolve"]>[2],
  ): ReturnType<StreamDirectory["resolve"]> {
    const actor = this.actorOf(applicationId, name);
    await this.lookUps;
    if (actor.endsWith("/00")) return { kind: "refused", refusal: refuse("STREAM_NOT_FOUND") };
    const { lineage, last } = this.streams.log(actor);
    const wanted = after === "start" ? 0 : typeof after === "object" && "offset" in after ? after.offset : last;
    return { kind: "ok", actor, from: wanted, recovered: true, position: { lineage, offset: wanted }, last };
  }

  acknowledge(_: string, clientId: string, position: StreamPosition): ReturnType<StreamDirectory["acknowledge"]> {
    this.acknowledged.push({ clientId, position });
    return Promise.resolve({ kind: "done" });
  }

  /** Appends and tells, as the gate does once a batch is durable. */
  publish(name: StreamName, count: number, options: { readonly bytes?: number; readonly type?: string } = {}): void {
    const actor = this.actorOf(APPLICATION, name);
    const body = encode({ message: new Uint8Array(options.bytes ?? 8) });
    const entries = this.streams.append(actor, count, options.type ?? "application", body);
    this.delivery.published(actor, this.streams.log(actor).lineage, entries);
  }
}

export const GROUP: StreamName & { id: Uint8Array } = { kind: "group", id: Uint8Array.of(1) };
export const INBOX: StreamName & { id: string } = { kind: "client", id: CLIENT };
