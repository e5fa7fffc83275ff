// A TCP proxy that does to connections what networks do: holds bytes back in one direction or both (they arrive late,
// as retransmissions would), slows them, resets and refuses connections; or cuts one before its next answer.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { holdsPort } from "./holds-port.ts";
import { ProxyFlow } from "./proxy-flow.ts";

export type Direction = "toServer" | "toClient";

/** Whose connections: those of one process, or everybody's. */
export interface Whose {
  readonly pid?: number;
}

interface Pair {
  readonly dialledBy: (pid: number) => boolean;
  readonly client: Socket;
  readonly upstream: Socket;
  readonly flows: Readonly<Record<Direction, ProxyFlow>>;
}

export class CuttingProxy {
  readonly #server: Server;
  #target: number;
  readonly #pairs = new Set<Pair>();
  #held: (Whose & { readonly directions: readonly Direction[] })[] = [];
  #refused: Whose[] = [];
  #delayMs = 0;
  #swallowAnswers = false;
  #swallowed: (() => void) | undefined;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#join(client));
  }

  static async to(port: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(port);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is closed");
    return address.port;
  }

  /** The next answer does not reach the client: its connection is cut instead. Resolves when that was done. */
  cutAtNextAnswer(): Promise<void> {
    this.#swallowAnswers = true;
    return new Promise((resolve) => (this.#swallowed = resolve));
  }

  /** Nothing arrives in these directions until `pass`; then it does. */
  hold(directions: readonly Direction[], whose: Whose = {}): void {
    this.#held.push({ ...whose, directions });
    this.#apply();
  }

  /** Connections are reset, new ones too, until `pass`. */
  refuse(whose: Whose = {}): void {
    this.#refused.push(whose);
    this.reset(whose);
  }

  /** Every byte takes so much longer, each way. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
    this.#apply();
  }

  /** Ends hold, refuse and slow; what was held arrives. */
  pass(): void {
    this.#held = [];
    this.#refused = [];
    this.#delayMs = 0;
    this.#apply();
  }

  /** Connections that stand now are reset; new ones may be made. */
  reset(whose: Whose = {}): void {
    for (const pair of this.#pairs) if (concerns(whose, pair)) this.#end(pair);
  }

  /** Leads elsewhere from now on; connections that stand are reset. */
  retarget(port: number): void {
    this.#target = port;
    this.reset();
  }

  async close(): Promise<void> {
    this.reset();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client: Socket): void {
    const port = client.remotePort ?? 0;
    const dialledBy = (pid: number): boolean => holdsPort(pid, port);
    if (this.#refused.some((rule) => concerns(rule, { dialledBy }))) {
      client.on("error", () => undefined);
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: this.#target, host: "127.0.0.1", allowHalfOpen: true });
    for (const socket of [client, upstream]) socket.setNoDelay(true);
    const pair: Pair = {
      dialledBy,
      client,
      upstream,
      flows: {
        toServer: new ProxyFlow(client, upstream),
        toClient: new ProxyFlow(upstream, client, () => this.#swallows(pair)),
      },
    };
    this.#pairs.add(pair);
    for (const socket of [client, upstream]) {
      socket.on("close", () => {
        if (client.destroyed && upstream.destroyed) this.#pairs.delete(pair);
      });
    }
    this.#applyTo(pair);
  }

  #swallows(pair: Pair): boolean {
    if (!this.#swallowAnswers) return false;
    this.#swallowAnswers = false;
    this.#end(pair);
    this.#swallowed?.();
    return true;
  }

  #end({ client, upstream, flows }: Pair): void {
    for (const flow of Object.values(flows)) flow.stop();
    client.resetAndDestroy();
    // It may not stand yet: then there is nothing to reset.
    if (upstream.connecting) upstream.destroy();
    else upstream.resetAndDestroy();
  }

  #apply(): void {
    for (const pair of this.#pairs) this.#applyTo(pair);
  }

  #applyTo(pair: Pair): void {
    for (const direction of ["toServer", "toClient"] as const) {
      const held = this.#held.some((rule) => rule.directions.includes(direction) && concerns(rule, pair));
      pair.flows[direction].set({ held, delayMs: this.#delayMs });
    }
  }
}

function concerns({ pid }: Whose, { dialledBy }: Pick<Pair, "dialledBy">): boolean {
  return pid === undefined || dialledBy(pid);
}
