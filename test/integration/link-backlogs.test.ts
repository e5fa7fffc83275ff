// What came in over a link and waits for its turn: bounded at either end. The queue of the end that reads is held.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import type { PeerNotice } from "../../src/cluster/peer-frames.ts";
import { PeerLink } from "../../src/cluster/peer-link.ts";
import { PeerLinkServer } from "../../src/cluster/peer-link-server.ts";
import { webSocketDialer, type PeerSocket } from "../../src/cluster/peer-link-socket.ts";
import { RunQueue, type Lane } from "../../src/run-queue.ts";

const MIB = 1_048_576;
const linkKey = new Uint8Array(32).fill(1);
const limits = { peerRequestsMax: 9, peerMessageBytesMax: MIB, peerQueueBytesMax: 256 * MIB };
const NOTICES = Array.from({ length: 128 }, (_, n): PeerNotice => {
  return { kind: "detach", actors: [`${String(n)} ${"a".repeat(MIB / 2)}`] };
});
/** Of messages: what the bound lets in, and what the socket had read already. */
const READ_MAX = 16;

/** Has its lanes wait while it is held: what a node does that is busy with something else. */
class HeldQueue extends RunQueue {
  readonly #waiting = new Set<Lane>();
  held = false;

  override add(lane: Lane): void {
    if (this.held) this.#waiting.add(lane);
    else super.add(lane);
  }

  release(): void {
    this.held = false;
    for (const lane of this.#waiting) super.add(lane);
  }
}

interface End {
  readonly queue: HeldQueue;
  readonly heard: PeerNotice[];
  socket: PeerSocket | undefined;
  messages: number;
}

let dialling: End;
let listening: End;
let reached: boolean[];
let http: Server;
let server: PeerLinkServer;
let link: PeerLink;

const newEnd = (): End => ({ queue: new HeldQueue({ turnMs: 10 }), heard: [], socket: undefined, messages: 0 });

function watched(end: End, socket: PeerSocket): PeerSocket {
  socket.on("message", () => (end.messages += 1));
  return (end.socket = socket);
}

/** @param small the end whose own bound is a message's */
async function begin(small: End): Promise<void> {
  const optionsOf = (end: End) => ({
    linkKey,
    limits: end === small ? { ...limits, peerQueueBytesMax: MIB } : limits,
    runQueue: end.queue,
  });
  server = new PeerLinkServer({
    ...optionsOf(listening),
    nodeId: () => "listener",
    requested: () => Promise.reject(new Error("notices only")),
    opened: () => undefined,
    noticed: (_, notice) => listening.heard.push(notice),
    closed: () => undefined,
  });
  new WebSocketServer({ server: http }).on("connection", (socket, { socket: beneath }) => {
    server.accept(watched(listening, socket), beneath);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const dialSocket = webSocketDialer(limits);
  link = new PeerLink({
    ...optionsOf(dialling),
    from: () => "dialler",
    to: "listener",
    address: `127.0.0.1:${String((http.address() as AddressInfo).port)}`,
    dial: (address) => watched(dialling, dialSocket(address)),
    notice: (notice) => dialling.heard.push(notice),
    reached: () => reached.push(true),
    unreached: () => reached.push(false),
    closed: () => undefined,
  });
  await expect.poll(() => reached).toEqual([true]);
  [dialling.messages, listening.messages] = [0, 0];
  small.queue.held = true;
}

beforeEach(() => {
  [dialling, listening, reached, http] = [newEnd(), newEnd(), [], createServer()];
});

afterEach(async () => {
  link.stop();
  server.close();
  await new Promise((resolve) => http.close(resolve));
});

async function expectBounded(reading: End, heldMs: number): Promise<void> {
  await expect.poll(() => reading.socket?.isPaused).toBe(true);
  await delay(heldMs);
  expect(reading.messages).toBeLessThan(READ_MAX);
  reading.queue.release();
  await expect.poll(() => reading.heard.length, { timeout: 10_000 }).toBe(NOTICES.length);
  expect(reading.heard).toEqual(NOTICES);
  expect(reached).toEqual([true]);
}

it("[L6] a busy dialler reads no more than may wait; that is no silence of the other", async () => {
  await begin(dialling);
  for (const notice of NOTICES) server.tell(notice);
  await expectBounded(dialling, 5_000);
}, 30_000);

it("[L6] a busy listener reads no more than may wait", async () => {
  await begin(listening);
  for (const notice of NOTICES) link.notify(notice);
  await expectBounded(listening, 500);
}, 30_000);
