// Links between nodes over real sockets: who holds the deployment's secret gets in, nobody else gets anything.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { NotAnswered, NotSent, PeerLink, type PeerLinkOptions } from "../../src/cluster/peer-link.ts";
import { PeerLinkServer } from "../../src/cluster/peer-link-server.ts";
import { PeerLinkWriter } from "../../src/cluster/peer-link-writer.ts";
import { decodePeerFrames, PEER_PATH, PEER_SUBPROTOCOL, type PeerRequest } from "../../src/cluster/peer-frames.ts";
import { webSocketDialer } from "../../src/cluster/peer-link-socket.ts";
import { RunQueue } from "../../src/run-queue.ts";
import { freePort } from "../support/free-port.ts";

const KEY = new Uint8Array(32).fill(1);
const runQueue = new RunQueue({ turnMs: 10 });
const limits = { peerRequestsMax: 2, peerMessageBytesMax: 1_048_576, peerQueueBytesMax: 1_048_576 };

let http: Server;
let server: PeerLinkServer;
let links: PeerLink[];
let asked: PeerRequest[];
let settle: (arrived: boolean) => void;
let value: unknown;

beforeEach(async () => {
  [links, asked, value] = [[], [], { n: 2n ** 60n }];
  server = new PeerLinkServer({
    nodeId: () => "listener",
    linkKey: KEY,
    limits,
    runQueue,
    requested: (_, request) => {
      asked.push(request);
      if (request.kind === "handOver") return new Promise(() => undefined);
      if (request.kind === "attach") return Promise.reject(new Error("no such shard"));
      return Promise.resolve({ value, settled: new Promise((resolve) => (settle = resolve)) });
    },
    opened: () => undefined,
    noticed: () => undefined,
    closed: () => undefined,
  });
  http = createServer();
  http.on("upgrade", (request, socket, head) => server.upgrade(request, socket, head));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  for (const link of links) link.stop();
  server.close();
  await new Promise((resolve) => http.close(resolve));
});

const address = (): string => `127.0.0.1:${String((http.address() as AddressInfo).port)}`;

type DialMore = Partial<Pick<PeerLinkOptions, "from" | "linkKey" | "to" | "address" | "limits" | "dial">>;

function dial(more: DialMore = {}): { link: PeerLink; reached: boolean[]; whys: string[] } {
  const reached: boolean[] = [];
  const whys: string[] = [];
  const link = new PeerLink({
    from: () => "dialler",
    to: "listener",
    address: address(),
    linkKey: KEY,
    limits,
    runQueue,
    dial: webSocketDialer(limits),
    notice: () => undefined,
    reached: () => reached.push(true),
    unreached: (why) => {
      reached.push(false);
      whys.push(why);
    },
    closed: () => undefined,
    ...more,
  });
  links.push(link);
  return { link, reached, whys };
}

/** Of a settled request. */
async function answered(link: PeerLink, applicationId: string): Promise<boolean> {
  return (await link.request({ kind: "forgetApplication", applicationId }, 5_000)).value !== undefined;
}

const forget: PeerRequest = { kind: "forgetApplication", applicationId: "a" };

it("carries requests and their answers exactly, and says when what they owe has arrived", async () => {
  const { link, reached } = dial();
  await expect.poll(() => reached).toEqual([true]);
  const answer = await link.request(forget, 1_000);
  expect(asked).toEqual([forget]);
  expect(answer.value).toEqual({ n: 2n ** 60n });
  settle(true);
  expect(await answer.settled).toBe(true);
  await expect(link.request({ kind: "attach", shard: 0, actors: [] }, 1_000)).rejects.toThrow("no such shard");
});

it("lets nobody in without the deployment's secret, nor who means another node", async () => {
  for (const stranger of [dial({ linkKey: new Uint8Array(32).fill(2) }), dial({ to: "former" })]) {
    await expect.poll(() => stranger.reached.length).toBeGreaterThan(1);
    expect(stranger.reached).not.toContain(true);
    await expect(stranger.link.request(forget, 1_000)).rejects.toThrow(NotSent);
  }
  expect(asked).toEqual([]);
});

it("says why another node can't be reached, in words that an operator can act on", async () => {
  const nobody = `127.0.0.1:${String(await freePort())}`;
  for (const [stranger, why] of [
    [dial({ linkKey: new Uint8Array(32).fill(2) }), /AEGIS_SECRET/],
    [dial({ to: "former" }), /no longer this node/],
    [dial({ address: nobody }), `connect ECONNREFUSED ${nobody}`],
    [
      dial({ dial: webSocketDialer(limits, { ca: undefined, serverName: undefined }) }),
      /wrong version number|EPROTO|TLS/,
    ],
  ] as const) {
    await expect.poll(() => stranger.whys[0]).toMatch(why);
  }
});

it("[G6] what is cut or late was perhaps done; what is too much was certainly not", async () => {
  const { link, reached } = dial();
  await expect.poll(() => reached).toEqual([true]);
  const handOver: PeerRequest = { kind: "handOver", shard: 0, to: "dialler" };
  await expect(link.request(handOver, 20)).rejects.toThrow(NotAnswered);
  const cut = [link.request(handOver, 5_000), link.request(handOver, 5_000)];
  await expect(link.request(handOver, 5_000)).rejects.toThrow(NotSent);
  for (const request of cut) request.catch(() => undefined);
  server.close();
  for (const request of cut) await expect(request).rejects.toThrow(NotAnswered);
});

it("[G10] [F22] a stranger's bytes are cut off before they are gathered", async () => {
  const socket = new WebSocket(`ws://${address()}${PEER_PATH}`, PEER_SUBPROTOCOL);
  await new Promise((resolve) => socket.once("open", resolve));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => undefined);
  // Never ends its message: only counting what comes in cuts it before the time for a hello is up.
  const began = performance.now();
  socket.send(new Uint8Array(100_000), { fin: false });
  await closed;
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(asked).toEqual([]);
});

it("[G10] [L6] strangers that say nothing keep no node out, and are kept in bounds", async () => {
  const strangers = Array.from(
    { length: 100 },
    () => new WebSocket(`ws://${address()}${PEER_PATH}`, PEER_SUBPROTOCOL, { handshakeTimeout: 4_000 }),
  );
  for (const stranger of strangers) stranger.on("error", () => undefined);
  const inState = (state: number): number => strangers.filter(({ readyState }) => readyState === state).length;
  await expect.poll(() => inState(WebSocket.CONNECTING)).toBe(0);
  await expect.poll(() => inState(WebSocket.OPEN)).toBeLessThanOrEqual(64);
  const { reached } = dial();
  await expect.poll(() => reached, { timeout: 2_000 }).toEqual([true]);
  for (const stranger of strangers) stranger.terminate();
});

it("[G10] [F22] a stranger's hello of another form than it promises ends there", async () => {
  const socket = new WebSocket(`ws://${address()}${PEER_PATH}`, PEER_SUBPROTOCOL);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => socket.once("message", resolve));
  // Its length alone would have memory set aside for it.
  const nonce = { length: 2 ** 31 } as unknown as Uint8Array;
  const writer = new PeerLinkWriter(socket, limits);
  writer.send({ frame: "hello", from: "stranger", to: "listener", nonce, proof: new Uint8Array(32) });
  const before = process.memoryUsage().arrayBuffers;
  await closed;
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  expect(asked).toEqual([]);
});

it("[L6] frames of one tick that are more than a message may be leave in several, in their order", async () => {
  const { link, reached } = dial({ limits: { ...limits, peerRequestsMax: 9, peerQueueBytesMax: 16_777_216 } });
  await expect.poll(() => reached).toEqual([true]);
  const sent = ["a", "b", "c", "d", "e"].map((letter) => letter.repeat(500_000));
  expect(await Promise.all(sent.map((applicationId) => answered(link, applicationId)))).not.toContain(false);
  expect(asked).toEqual(sent.map((applicationId) => ({ kind: "forgetApplication", applicationId })));
  expect(reached).toEqual([true]);
});

it("[G6] [L6] a frame larger than a message may be is not sent, and cuts nobody off", async () => {
  const { link, reached } = dial({ limits: { ...limits, peerQueueBytesMax: 16_777_216 } });
  await expect.poll(() => reached).toEqual([true]);
  await expect(answered(link, "a".repeat(2_000_000))).rejects.toThrow(NotSent);
  value = new Uint8Array(2_000_000);
  await expect(answered(link, "b")).rejects.toThrow("larger than a message");
  value = {};
  expect(await answered(link, "c")).toBe(true);
  expect(reached).toEqual([true]);
});

it("[G10] what a dialler says itself, said back to it, proves nothing", async () => {
  const mirror = new WebSocketServer({ port: 0, host: "127.0.0.1", path: PEER_PATH });
  await new Promise((resolve) => mirror.once("listening", resolve));
  const said: string[] = [];
  mirror.on("connection", (socket) => {
    // Its challenge is that of the dialler's own listening side, to which it hands what comes of it.
    const behind = new WebSocket(`ws://${address()}${PEER_PATH}`, PEER_SUBPROTOCOL);
    behind.on("error", () => undefined);
    behind.on("message", (data) => socket.send(data));
    socket.on("error", () => undefined);
    socket.on("message", (data: Buffer) => {
      const [hello] = decodePeerFrames(data);
      if (hello?.frame !== "hello") return;
      said.push(hello.frame);
      behind.send(data);
      new PeerLinkWriter(socket, limits).send({ frame: "welcome", proof: hello.proof });
    });
  });
  const { port } = mirror.address() as AddressInfo;
  const { reached } = dial({ from: () => "listener", to: "other", address: `127.0.0.1:${String(port)}` });
  await expect.poll(() => said.length).toBeGreaterThan(2);
  expect(reached).not.toContain(true);
  expect(asked).toEqual([]);
  for (const socket of mirror.clients) socket.terminate();
  for (const link of links) link.stop();
  await new Promise((resolve) => mirror.close(resolve));
});
