import { describe, expect } from "vitest";
import { encode } from "../../src/protocol/codec.ts";
import { encodeEventFrame, encodeResult, type ClientFrame, type RequestFrame } from "../../src/protocol/frames.ts";
import type { StreamToAdd } from "../../src/client/client.ts";
import { randomFrom, seedOf } from "../support/seed.ts";
import { test } from "../support/scripted-client.ts";
import type { ScriptedServer, ScriptedSession } from "../support/scripted-server.ts";

const WINDOW = { messages: 12, bytes: 2000 };
const EVENTS = 150;

type Random = () => number;

interface Cursor {
  readonly log: readonly Uint8Array[];
  next: number;
}

interface SessionState {
  messages: number;
  bytes: number;
  sent: number;
  readonly cursors: Map<number, Cursor>;
}

/** A server's side of subscriptions that keeps its logs and breaks connections at random moments. */
class RandomServer {
  readonly #logs: Uint8Array[][];
  readonly #random: Random;
  sessions = 0;
  repeated = 0;
  /** What the client did wrong. */
  readonly faults: string[] = [];

  constructor(streams: number, random: Random) {
    this.#random = random;
    this.#logs = Array.from({ length: streams }, (_, stream) =>
      Array.from({ length: EVENTS }, (__, at) =>
        encode({ epoch: stream, message: new Uint8Array(1 + ((at * 37) % 300)) }),
      ),
    );
  }

  async serve(server: ScriptedServer): Promise<never> {
    for (;;) await this.#session(await server.session());
  }

  async #session(session: ScriptedSession): Promise<void> {
    this.sessions += 1;
    const state: SessionState = { messages: 0, bytes: 0, sent: 0, cursors: new Map() };
    const cutAfter = 1 + this.#random() * 60;
    while (state.sent <= cutAfter) {
      // The test is over when the client closes its session.
      const frame = await session.next().catch(() => undefined);
      if (frame === undefined) return;
      this.#take(session, state, frame);
      for (const [number, cursor] of state.cursors) this.#send(session, state, number, cursor);
    }
    session.socket.terminate();
  }

  #take(session: ScriptedSession, state: SessionState, frame: ClientFrame): void {
    if (frame.type === "credit") {
      state.messages += frame.messages;
      state.bytes += frame.bytes;
    } else if (frame.type === "request" && frame.method === "subscription.open") {
      Object.assign(state, frame.params);
      session.send(encodeResult(frame.id, { subscription: 5 }));
    } else if (frame.type === "request" && frame.method === "subscription.add")
      this.#add(session, frame, state.cursors);
    const { messages, bytes } = state;
    if (messages > WINDOW.messages || bytes > WINDOW.bytes) this.faults.push(`credit ${messages}, ${bytes}`);
  }

  #send(session: ScriptedSession, state: SessionState, number: number, cursor: Cursor): void {
    while (state.messages > 0 && state.bytes > 0 && cursor.next <= EVENTS) {
      const count = Math.min(state.messages, 1 + Math.floor(this.#random() * 4), EVENTS + 1 - cursor.next);
      const bodies = cursor.log.slice(cursor.next - 1, cursor.next - 1 + count);
      const events = bodies.map((body, at) => ({ offset: cursor.next + at, time: 1, type: "application", body }));
      session.send(encodeEventFrame(5, number, events));
      state.messages -= count;
      state.bytes -= bodies.reduce((sum, body) => sum + body.length, 0);
      state.sent += count;
      cursor.next += count;
    }
  }

  /** Begins a few events too early at times, as "at least once" allows. */
  #add(session: ScriptedSession, frame: RequestFrame, cursors: Map<number, Cursor>): void {
    const { streams } = frame.params as { streams: { id: Uint8Array; after: { offset: number } | "start" }[] };
    const answers = streams.map(({ id, after }) => {
      const offset = after === "start" ? 0 : after.offset;
      const early = this.#random() < 0.3 ? Math.min(offset, 2) : 0;
      this.repeated += early;
      const number = 100 + (id[0] as number);
      cursors.set(number, { log: this.#logs[id[0] as number] ?? [], next: offset + 1 - early });
      return { stream: number, recovered: true, position: { lineage: "l", offset } };
    });
    session.send(encodeResult(frame.id, { streams: answers }));
  }
}

describe("a subscription under random cuts", () => {
  test("[G5] [S5] gives every event once and in order, and never asks for more than its window", async ({
    server,
    connected,
  }) => {
    const seed = seedOf("client-subscription");
    const random = randomFrom(seed);
    const peer = new RandomServer(3, random);
    void peer.serve(server);
    const client = await connected();
    const subscription = client.subscribe(WINDOW);
    const streams = [0, 1, 2].map((id): StreamToAdd => ({ kind: "group", id: Uint8Array.of(id), after: "start" }));
    void subscription.add(streams);
    const seen: number[][] = [[], [], []];
    for await (const item of subscription) {
      if (item.kind !== "event" || item.stream.kind !== "group") throw new Error("a notice");
      seen[item.stream.id[0] as number]?.push(item.offset);
      // A consumer that is slow at times: the queue fills up behind it.
      if (random() < 0.1) await new Promise((resolve) => setImmediate(resolve));
      if (seen.every((offsets) => offsets.length >= EVENTS)) break;
    }
    const all = Array.from({ length: EVENTS }, (_, at) => at + 1);
    expect(seen).toEqual([all, all, all]);
    expect(peer.faults).toEqual([]);
    expect(peer.sessions).toBeGreaterThan(3);
    expect(peer.repeated).toBeGreaterThan(0);
  });
});
