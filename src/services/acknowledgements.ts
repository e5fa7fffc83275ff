// Gathers the ACK frames of all sessions into few writes: the newest position of each inbox, one write of
// an inbox at a time. Best effort: what is lost is delivered again (G5), so nothing here is ever answered.
import type { StreamDirectory, StreamPosition } from "./stream-directory.ts";

export interface AcknowledgementLimits {
  readonly acknowledgeDelayMs: number;
}

/** Inboxes with something to write; beyond it an ACK is dropped, and the next one of that inbox says it again. */
const INBOXES_MAX = 100_000;
/** Writes on their way at once. */
const WRITES_MAX = 256;
/** Rounds for which an inbox rests after an outage. */
const REST_ROUNDS = 10;

interface Inbox {
  readonly applicationId: string;
  readonly clientId: string;
  position: StreamPosition;
  writing: boolean;
  restRounds: number;
}

export class Acknowledgements {
  readonly #directory: Pick<StreamDirectory, "acknowledge">;
  readonly #limits: AcknowledgementLimits;
  readonly #inboxes = new Map<string, Inbox>();
  #writes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(directory: Pick<StreamDirectory, "acknowledge">, limits: AcknowledgementLimits) {
    this.#directory = directory;
    this.#limits = limits;
  }

  add(applicationId: string, clientId: string, position: StreamPosition): void {
    const name = `${applicationId}/${clientId}`;
    const inbox = this.#inboxes.get(name);
    if (inbox === undefined) {
      if (this.#inboxes.size >= INBOXES_MAX) return;
      this.#inboxes.set(name, { applicationId, clientId, position, writing: false, restRounds: 0 });
    } else if (inbox.position.lineage !== position.lineage || inbox.position.offset < position.offset) {
      inbox.position = position;
    }
    this.#schedule();
  }

  /** Writes what is left, once; for a node that stops. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all([...this.#inboxes.values()].filter(({ writing }) => !writing).map((inbox) => this.#write(inbox)));
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#round(), this.#limits.acknowledgeDelayMs).unref();
  }

  #round(): void {
    this.#timer = undefined;
    for (const inbox of this.#inboxes.values()) {
      if (inbox.writing) continue;
      if (inbox.restRounds > 0) inbox.restRounds -= 1;
      else if (this.#writes < WRITES_MAX) void this.#write(inbox);
      this.#schedule();
    }
  }

  async #write(inbox: Inbox): Promise<void> {
    const { applicationId, clientId, position } = inbox;
    inbox.writing = true;
    this.#writes += 1;
    const answer = await this.#directory.acknowledge(applicationId, clientId, position);
    this.#writes -= 1;
    inbox.writing = false;
    if (answer.kind === "refused" && answer.refusal.retryable) {
      inbox.restRounds = REST_ROUNDS;
      this.#schedule();
    } else if (inbox.position === position) {
      this.#inboxes.delete(`${applicationId}/${clientId}`);
    } else {
      this.#schedule();
    }
  }
}
