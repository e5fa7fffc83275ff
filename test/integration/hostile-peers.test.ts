// Whoever holds the deployment's secret and says what no node says: another version, or one that is broken. A real server
// refuses the frame, or ends the link, and goes on.
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { connect, type AegisClient } from "../../src/client/client.ts";
import { decodePeerFrames, PEER_PATH, PEER_SUBPROTOCOL, type PeerFrame } from "../../src/cluster/peer-frames.ts";
import { prove } from "../../src/cluster/peer-proof.ts";
import { encodeExactly } from "../../src/protocol/exact-codec.ts";
import { deriveSecrets } from "../../src/services/secrets.ts";
import { basicCredential } from "../support/app-world.ts";
import { ClusterProcess } from "../support/cluster-process.ts";
import { randomFrom, seedOf } from "../support/seed.ts";

const AEGIS_SECRET = randomBytes(32).toString("hex");
const FROM = "stranger";
const { linkKey } = deriveSecrets(AEGIS_SECRET);

let cluster: ClusterProcess;
let client: AegisClient;
let to: string;
let applicationId: string;

beforeAll(async () => {
  cluster = await ClusterProcess.start({ nodes: 1, env: { AEGIS_SECRET } });
  to = (await cluster.nodes()).answeredBy;
  const operator = await connect({ url: cluster.server(0).url, token: cluster.operatorToken });
  const { key } = await operator.application.create({ name: "hostile peers" });
  await operator.close();
  client = await connect({ url: cluster.server(0).url, token: key.secret });
  ({ applicationId } = await client.application.get({}));
}, 60_000);

afterAll(async () => {
  await client.close();
  await cluster.dispose();
});

/** The dialling end of a link. */
class Peer {
  readonly heard: PeerFrame[] = [];
  readonly #socket: WebSocket;

  constructor() {
    this.#socket = new WebSocket(`ws://127.0.0.1:${String(cluster.server(0).port)}${PEER_PATH}`, PEER_SUBPROTOCOL);
    this.#socket.on("error", () => undefined);
    this.#socket.on("message", (data: Buffer) => this.heard.push(...decodePeerFrames(data)));
  }

  /** One that has proved itself. */
  static async open(): Promise<Peer> {
    const peer = new Peer();
    const challenge = await peer.hears("challenge");
    peer.say(helloTo(challenge.nonce));
    await peer.hears("welcome");
    return peer;
  }

  say(...frames: unknown[]): void {
    this.#socket.send(Buffer.concat(frames.map((frame) => encodeExactly(frame))));
  }

  async hears<Kind extends PeerFrame["frame"]>(kind: Kind): Promise<Extract<PeerFrame, { frame: Kind }>> {
    const find = (): PeerFrame | undefined => this.heard.find(({ frame }) => frame === kind);
    await expect.poll(() => find() !== undefined || this.ended).toBe(true);
    return find() as Extract<PeerFrame, { frame: Kind }>;
  }

  get ended(): boolean {
    return this.#socket.readyState === WebSocket.CLOSED;
  }

  end(): void {
    this.#socket.terminate();
  }
}

function helloTo(listenerNonce: Uint8Array): PeerFrame {
  const nonce = Uint8Array.from(randomBytes(32));
  const proof = prove(linkKey, { side: "dialling", dialler: FROM, listener: to, diallerNonce: nonce, listenerNonce });
  return { frame: "hello", from: FROM, to, nonce, proof };
}

const ODD: readonly unknown[] = [
  undefined,
  null,
  true,
  -1,
  0,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 31,
  2 ** 53,
  2n ** 63n,
  "",
  "__proto__",
  "constructor",
  "a/b/c",
  [],
  [null],
  [[]],
  {},
  { length: 2 ** 32 - 1 },
  new Uint8Array(3),
  new Date(0),
  new Set([1]),
];

/** A frame that a node would send, somewhere in it another value. */
function frames(): readonly object[] {
  const address = { applicationId, kind: "identity", id: randomUUID() };
  const call = { to: address, command: { type: "get" } };
  return [
    { frame: "request", id: 1, ttlMs: 1_000, request: { kind: "call", shard: 1, call } },
    { frame: "request", id: 2, ttlMs: 1_000, request: { kind: "handOver", shard: 1, to: FROM } },
    { frame: "request", id: 3, ttlMs: 1_000, request: { kind: "attach", shard: 1, actors: ["a/identity/b"] } },
    { frame: "request", id: 4, ttlMs: 1_000, request: { kind: "forgetApplication", applicationId: randomUUID() } },
    { frame: "notice", notice: { kind: "detach", actors: ["a/identity/b"] } },
    {
      frame: "notice",
      notice: { kind: "published", shard: 1, fence: 1, actor: "a/identity/b", lineage: "l", entries: [] },
    },
    { frame: "notice", notice: { kind: "alive", shards: [[1, { lineage: "l", fence: 1, sequence: 1 }]] } },
    { frame: "notice", notice: { kind: "look" } },
  ];
}

function changed(value: unknown, random: () => number): unknown {
  const entries = value !== null && typeof value === "object" ? Object.entries(value) : [];
  const [name, inner] = entries[Math.floor(random() * (entries.length + 0.3))] ?? [];
  if (name === undefined) return ODD[Math.floor(random() * ODD.length)];
  const copy: object = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) };
  return Object.assign(copy, { [name]: changed(inner, random) });
}

test("[F22] [F23] frames of another form than any node's end their link at most", async () => {
  const random = randomFrom(seedOf("hostile peers"));
  const { pid } = cluster.server(0);
  for (let round = 0; round < 60; round += 1) {
    const peer = await Peer.open();
    for (const frame of frames()) if (random() < 0.7) peer.say(changed(frame, random));
    peer.say({ frame: "request", id: 99, ttlMs: 5_000, request: { kind: "future" } });
    await expect.poll(() => peer.ended || peer.heard.some((frame) => "id" in frame && frame.id === 99)).toBe(true);
    peer.end();
  }
  await client.identity.create({ clientIdentity: basicCredential(`after ${randomUUID()}`) });
  expect(cluster.server(0).pid).toBe(pid);
}, 120_000);

test("[F23] what only a newer node asks for is refused by itself: the link stands", async () => {
  const peer = await Peer.open();
  const call = { to: { applicationId, kind: "future", id: randomUUID() }, command: { type: "anything" } };
  peer.say(
    { frame: "request", id: 1, ttlMs: 5_000, request: { kind: "future" } },
    { frame: "request", id: 2, ttlMs: 5_000, request: { kind: "call", shard: 0, call } },
    { frame: "notice", notice: { kind: "future" } },
    { frame: "request", id: 3, ttlMs: 5_000, request: { kind: "drains" } },
  );
  await expect.poll(() => peer.heard.filter((frame) => "id" in frame).length).toBe(3);
  expect(peer.heard).toContainEqual({ frame: "failure", id: 1, message: "a newer node's request" });
  const refused = peer.heard.find((frame) => frame.frame === "response" && frame.id === 2);
  expect(refused).toMatchObject({ value: { outcome: { kind: "refused" } } });
  expect(peer.ended).toBe(false);
  peer.end();
});

test("[G10] a proof opens the link for which it was made, once", async () => {
  const first = new Peer();
  const hello = helloTo((await first.hears("challenge")).nonce);
  first.say(hello);
  await first.hears("welcome");
  const second = new Peer();
  await second.hears("challenge");
  second.say(hello);
  first.say(hello);
  await expect.poll(() => second.ended && first.ended).toBe(true);
  expect(second.heard.map(({ frame }) => frame)).toEqual(["challenge"]);
});
