// What a subscription has received and its consumer has not taken yet. Its size is bounded by the credit
// that was given for it; what is taken makes room for new credit.
import { encode } from "../protocol/codec.ts";

export interface CreditWindow {
  readonly messages: number;
  readonly bytes: number;
}

interface Item<T> {
  readonly value: T;
  readonly messages: number;
  readonly bytes: number;
}

export class EventQueue<T> {
  readonly #window: CreditWindow;
  readonly #items: Item<T>[] = [];
  #head = 0;
  #heldMessages = 0;
  #heldBytes = 0;
  /** Taken, and not given back to the server as credit yet. */
  #freeMessages = 0;
  #freeBytes = 0;
  readonly #takers: (() => void)[] = [];
  #end: { readonly error: Error | undefined } | undefined;
  readonly #grant: (messages: number, bytes: number) => boolean;

  /** @param grant tells the server; false: there is nobody to tell yet */
  constructor(window: CreditWindow, grant: (messages: number, bytes: number) => boolean) {
    this.#window = window;
    this.#grant = grant;
  }

  /** An event as the server counts it: one message, and the bytes of its encoded body. */
  pushEvent(value: T, body: unknown): void {
    this.#push({ value, messages: 1, bytes: encode(body).length });
  }

  /** What costs no credit. */
  pushNotice(value: T): void {
    this.#push({ value, messages: 0, bytes: 0 });
  }

  /** An event that was dropped: its credit goes back at once. */
  skipEvent(body: unknown): void {
    this.#release(1, encode(body).length);
  }

  /** What a fresh subscription may be given at its start, so that queue and credit stay within the window. */
  freshCredit(): CreditWindow {
    const messages = this.#window.messages - this.#heldMessages;
    const bytes = this.#window.bytes - this.#heldBytes;
    // An event may be larger than what was left for it: what it took beyond the window is made good first.
    this.#freeMessages = Math.min(0, messages);
    this.#freeBytes = Math.min(0, bytes);
    return { messages: Math.max(0, messages), bytes: Math.max(0, bytes) };
  }

  /** Credit goes back in halves of the window: one frame for many events. */
  grantDue(): void {
    const due = this.#freeMessages * 2 >= this.#window.messages || this.#freeBytes * 2 >= this.#window.bytes;
    if (!due || this.#end !== undefined) return;
    const bytes = Math.max(0, this.#freeBytes);
    if (!this.#grant(this.#freeMessages, bytes)) return;
    this.#freeMessages = 0;
    this.#freeBytes -= bytes;
  }

  /** What was received is still given out; then the end, or the error. */
  end(error: Error | undefined): void {
    this.#end ??= { error };
    for (const taker of this.#takers.splice(0)) taker();
  }

  /** Gives out one item after another; an item counts as taken when the next one is asked for. */
  async *take(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const item = this.#shift();
      if (item !== undefined) {
        try {
          yield item.value;
        } finally {
          this.#heldMessages -= item.messages;
          this.#heldBytes -= item.bytes;
          this.#release(item.messages, item.bytes);
        }
      } else if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      } else await new Promise<void>((resolve) => this.#takers.push(resolve));
    }
  }

  #push(item: Item<T>): void {
    if (this.#end !== undefined) return;
    this.#items.push(item);
    this.#heldMessages += item.messages;
    this.#heldBytes += item.bytes;
    this.#takers.shift()?.();
  }

  #shift(): Item<T> | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head += 1;
    // Removing from the front one by one would move the rest each time.
    if (this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  #release(messages: number, bytes: number): void {
    this.#freeMessages += messages;
    this.#freeBytes += bytes;
    this.grantDue();
  }
}
