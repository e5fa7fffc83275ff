// A server that can be told where to die, with an operator's and two applications' clients that are made anew
// after each death. Knows nothing of what they ask for.
import { connectOnceKnown } from "./known-client.ts";
import { setTimeout as delay } from "node:timers/promises";
import { connect, type AegisClient } from "../../src/client/client.ts";
import { CrashingServer, type CrashOptions, type CrashPlan } from "./crashing-server.ts";

/** Longer than a server takes to come back on a busy machine. */
const TTL_MS = 30_000;
/** A chain in which nothing was written for so long has ended. */
const QUIET_MS = 400;

interface Clients {
  readonly operator: AegisClient;
  readonly client: AegisClient;
  readonly tight: AegisClient;
}

export class CrashWorld {
  readonly server: CrashingServer;
  readonly #tokens: readonly [string, string];
  #clients: Clients | undefined;
  #aheadMs = 0;

  private constructor(server: CrashingServer, tokens: readonly [string, string]) {
    this.server = server;
    this.#tokens = tokens;
  }

  static async start(engine: "lmdb" | "redis", options: CrashOptions = {}): Promise<CrashWorld> {
    const server = await CrashingServer.start(engine, options);
    const { url, operatorToken } = server.process;
    const operator = await connect({ url, token: operatorToken, ttlMs: TTL_MS });
    const settings = { claimsPerHour: 1000, keyPoolLow: 2 };
    const wide = await operator.application.create({ name: "wide", settings });
    const tight = await operator.application.create({ name: "tight", settings: { quotas: { groups: 1 } } });
    await operator.close();
    const world = new CrashWorld(server, [wide.key.secret, tight.key.secret]);
    await world.connect();
    return world;
  }

  get operator(): AegisClient {
    return this.#connected().operator;
  }

  /** Of an application without quotas. */
  get client(): AegisClient {
    return this.#connected().client;
  }

  /** Of an application that may have one group. */
  get tight(): AegisClient {
    return this.#connected().tight;
  }

  async connect(): Promise<void> {
    const { url, operatorToken } = this.server.process;
    const [operator, client, tight] = await Promise.all(
      [operatorToken, ...this.#tokens].map((token) => connectOnceKnown({ url, token, ttlMs: TTL_MS })),
    );
    this.#clients = { operator, client, tight } as Clients;
  }

  /** Calls without an answer end: nobody sends them again. */
  async disconnect(): Promise<void> {
    const clients = this.#clients;
    this.#clients = undefined;
    if (clients !== undefined) await Promise.all(Object.values(clients).map((client: AegisClient) => client.close()));
  }

  /** @param laterMs what the store's clock has moved on while nobody served */
  async comeBack(laterMs: number): Promise<void> {
    this.#aheadMs += laterMs;
    await this.server.restart({ clockAheadMs: this.#aheadMs });
    await this.connect();
  }

  /**
   * Resolves with true when the server died, with false when the call was answered and the write that it was to be
   * broken at has come, or nothing is written any more.
   */
  async diedOrEnded(call: Promise<unknown>, { at, when }: CrashPlan): Promise<boolean> {
    const ended = async (): Promise<boolean> => {
      await call;
      // A server that lives goes on, and the caller looks for the chain's end itself.
      const isOver = (): boolean => when === "unanswered" && this.server.writes >= at;
      for (let before = -1; before !== this.server.writes && !isOver();) {
        before = this.server.writes;
        await delay(QUIET_MS);
      }
      return false;
    };
    const died = this.server.process.ended().then(() => true);
    if (await Promise.race([died, ended()])) return true;
    if (this.server.unplan()) return false;
    return died;
  }

  async dispose(): Promise<void> {
    await this.disconnect();
    await this.server.dispose();
  }

  #connected(): Clients {
    if (this.#clients === undefined) throw new Error("the server is down");
    return this.#clients;
  }
}
