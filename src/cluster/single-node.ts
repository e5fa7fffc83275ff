// One deployment, one node: a second node on the same store is refused at its start, and this one beats so
// that it can be seen. Judged by whether counters move, never by a wall clock (rule 7).
import { StoreRefused, type NodeRecord, type Store } from "../store/store.ts";

export interface SingleNodeOptions {
  readonly store: Pick<Store, "heartbeat" | "readNodes" | "removeNode">;
  readonly nodeId: string;
  readonly address: string;
  readonly heartbeatMs: number;
  /** A node whose counter stands still for so long is gone. */
  readonly silenceMs: number;
  onBeatFailed(error: unknown): void;
}

export class SingleNode {
  readonly #options: SingleNodeOptions;
  #counter = 1;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SingleNodeOptions) {
    this.#options = options;
  }

  /** @throws StoreRefused when another node is serving this deployment */
  async start(): Promise<void> {
    const { store, silenceMs, nodeId } = this.#options;
    const others = await store.readNodes();
    if (others.length > 0) {
      const alive = await this.#moving(others, silenceMs);
      if (alive !== undefined) {
        throw new StoreRefused(
          `node ${alive.nodeId} at ${alive.address} is serving this deployment; stop it first, or use another prefix`,
        );
      }
      for (const gone of others) if (gone.nodeId !== nodeId) await store.removeNode(gone.nodeId);
    }
    await this.#announce();
    this.#timer = setInterval(() => {
      this.#beat().catch((error: unknown) => {
        this.#options.onBeatFailed(error);
      });
    }, this.#options.heartbeatMs);
    this.#timer.unref();
  }

  /** Two that start at once see nobody before, but each other now: neither may serve. */
  async #announce(): Promise<void> {
    const { store, nodeId } = this.#options;
    const other = (await this.#beat()).find((node) => node.nodeId !== nodeId);
    if (other === undefined) return;
    await store.removeNode(nodeId);
    throw new StoreRefused(
      `node ${other.nodeId} at ${other.address} started at the same time; start one of them alone`,
    );
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#options.store.removeNode(this.#options.nodeId);
  }

  async #moving(before: readonly NodeRecord[], silenceMs: number): Promise<NodeRecord | undefined> {
    const end = performance.now() + silenceMs;
    while (performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, silenceMs / 8));
      const now = await this.#options.store.readNodes();
      const moved = now.find(
        (node) => !before.some((old) => old.nodeId === node.nodeId && old.counter === node.counter),
      );
      if (moved !== undefined) return moved;
    }
    return undefined;
  }

  async #beat(): Promise<readonly NodeRecord[]> {
    const { nodeId, address, store } = this.#options;
    this.#counter += 1;
    return store.heartbeat({ nodeId, address, counter: this.#counter });
  }
}
