// One direction of a proxied connection: bytes, the end and the cut pass in their order, later or not until released.
import type { Socket } from "node:net";

type Item = { readonly dueMs: number } & ({ readonly bytes: Buffer } | { readonly end: "end" | "close" });

export class ProxyFlow {
  readonly #from: Socket;
  readonly #to: Socket;
  #queue: Item[] = [];
  #held = false;
  #delayMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param swallow asked before bytes are sent on; true: it has dealt with them */
  constructor(from: Socket, to: Socket, swallow: () => boolean = () => false) {
    this.#from = from;
    this.#to = to;
    from.on("data", (bytes: Buffer) => {
      if (!swallow()) this.#put({ bytes });
    });
    from.on("end", () => this.#put({ end: "end" }));
    from.on("error", () => undefined); // `close` follows
    from.on("close", () => this.#put({ end: "close" }));
  }

  /** While it is held nothing is read: what is on its way waits where the kernel keeps it. */
  set({ held, delayMs }: { readonly held: boolean; readonly delayMs: number }): void {
    this.#delayMs = delayMs;
    this.#held = held;
    if (held) this.#from.pause();
    else {
      this.#from.resume();
      this.#flush();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#queue = [];
    clearTimeout(this.#timer);
  }

  #put(item: { readonly bytes: Buffer } | { readonly end: "end" | "close" }): void {
    if (this.#stopped) return;
    this.#queue.push({ ...item, dueMs: performance.now() + this.#delayMs });
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    for (let item = this.#queue[0]; item !== undefined && !this.#held; item = this.#queue[0]) {
      const waitMs = item.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#flush(), waitMs);
        return;
      }
      this.#queue.shift();
      if ("bytes" in item) this.#to.write(item.bytes);
      else if (item.end === "end") this.#to.end();
      else this.#to.destroySoon();
    }
  }
}
