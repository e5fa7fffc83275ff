// One world and one client for each test of a file, and the calls about subscriptions that tests repeat.
import type { Limits } from "../../src/config.ts";
import { TOKENS, TransportWorld } from "./transport-world.ts";
import { WireClient } from "./wire-client.ts";

export interface Added {
  readonly stream: number;
  readonly recovered: boolean;
  readonly position: { readonly lineage: string; readonly offset: number };
  readonly error?: { readonly reason: string };
}

export class SessionHarness {
  #world: TransportWorld | undefined;
  #client: WireClient | undefined;

  get world(): TransportWorld {
    if (this.#world === undefined) throw new Error("not begun");
    return this.#world;
  }

  get client(): WireClient {
    if (this.#client === undefined) throw new Error("not begun");
    return this.#client;
  }

  async begin(limits: Partial<Limits> = {}): Promise<void> {
    this.#world = await new TransportWorld({ acknowledgeDelayMs: 5, ...limits }).start();
    await this.connect();
  }

  async connect(): Promise<void> {
    this.#client = await WireClient.connect(this.world.port, TOKENS.all);
  }

  async end(): Promise<void> {
    this.client.socket.terminate();
    await this.world.stop();
  }

  async restart(limits: Partial<Limits>): Promise<void> {
    await this.end();
    await this.begin(limits);
  }

  async open(who = this.client, credit: object = {}): Promise<number> {
    return ((await who.call("subscription.open", credit)).result as { subscription: number }).subscription;
  }

  async add(subscription: number, streams: object[], who = this.client): Promise<Added[]> {
    return ((await who.call("subscription.add", { subscription, streams })).result as { streams: Added[] }).streams;
  }

  /** Adds one stream and answers its number. */
  async addOne(subscription: number, stream: object, who = this.client): Promise<number> {
    const [added] = await this.add(subscription, [stream], who);
    if (added === undefined || added.error !== undefined) throw new Error(`not added: ${added?.error?.reason}`);
    return added.stream;
  }

  /** The stream's event at `last` has come. */
  async arrived(stream: number, last: number, who = this.client): Promise<void> {
    await who.until(() => who.offsets(stream).at(-1) === last, `offset ${last} of stream ${stream}`);
  }
}

export function ordered(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}
