// Every setting of the server, once: unit, range, default and what it is for. docs/CONFIGURATION.md,
// the flags, the environment's names and the checks all come from here; no other file holds a default.
import { z } from "zod";
import { oneOf, text, wholeNumber, type Setting } from "./setting.ts";

export type StoreAddress =
  { readonly kind: "lmdb"; readonly path: string } | { readonly kind: "redis"; readonly url: string };

const STORE_FORMS = "lmdb:PATH, redis://… or rediss://…";

const storeAddress = z
  .string({ error: `must be ${STORE_FORMS}` })
  .regex(/^(lmdb:.+|rediss?:\/\/.+)$/s, `must be ${STORE_FORMS}`)
  .transform((value): StoreAddress =>
    value.startsWith("lmdb:") ? { kind: "lmdb", path: value.slice("lmdb:".length) } : { kind: "redis", url: value },
  );

const TOKEN_FORM = "aegis_<keyId>_<secret>, both of letters, digits and dashes, the secret of at least 32";

/** What the server is and where it listens. */
export const SERVER_SETTINGS = {
  host: text(/^\S+$/, "an address or a host name", "127.0.0.1", "Where application servers connect.", { flag: "host" }),
  port: wholeNumber("port", 0, 65_535, 7400, "Port for application servers; 0 takes a free one.", { flag: "port" }),
  advertise: text(
    /^[^\s/]+:\d{1,5}$/,
    "HOST:PORT",
    undefined,
    "Where other nodes reach this one; without it host and port.",
    { flag: "advertise" },
  ),
  adminHost: text(
    /^\S+$/,
    "an address or a host name",
    "127.0.0.1",
    "Where health and metrics are served. They ask for no key: keep it private.",
  ),
  adminPort: wholeNumber("port", 0, 65_535, 7401, "Port for health and metrics; 0 takes a free one.", {
    flag: "admin-port",
  }),
  store: {
    doc: "Where everything is kept: a folder (embedded, one node) or a Redis server.",
    unit: "",
    range: STORE_FORMS,
    fallback: { kind: "lmdb", path: "./data" },
    schema: storeAddress as unknown as z.ZodType<StoreAddress>,
    flag: "store",
    sensitive: true,
  } satisfies Setting<StoreAddress>,
  prefix: text(
    /^[A-Za-z0-9_.-]{1,64}$/,
    "1–64 letters, digits, dots, dashes, underscores",
    "aegis",
    "Opens the name of every key in Redis: one deployment, one prefix.",
    { flag: "prefix" },
  ),
  durability: oneOf(
    ["memory", "fsync"],
    "fsync",
    "What a reply waits for: the store's answer (memory) or the synced disk (fsync).",
    { flag: "durability" },
  ),
  assumeDurability: oneOf(
    ["no", "yes"],
    "no",
    "The operator answers for Redis keeping the durability level, where its configuration can't be read (CONFIG is often off in hosted Redis).",
  ),
  redisCaFile: text(
    /^.+$/s,
    "a path",
    undefined,
    "PEM file of the authority that signed a rediss:// server's certificate.",
  ),
  shards: wholeNumber(
    "shards",
    1,
    4096,
    256,
    "Into how many shards the actors are split; fixed at the store's first start.",
  ),
  operatorKey: text(
    /^aegis_[A-Za-z0-9-]{1,64}_[A-Za-z0-9-]{32,256}$/,
    TOKEN_FORM,
    undefined,
    "The operator's whole token. Without it the first start on lmdb makes one and keeps it in the data folder (`operator-key`, mode 0600); on Redis it must be set.",
    { sensitive: true },
  ),
  secret: text(
    /^[\x21-\x7e]{32,1024}$/,
    "32–1024 printable ASCII characters without spaces",
    undefined,
    "The deployment's one secret, from which the pepper of stored keys, the links between nodes and the encryption of stored results derive. Made and kept like the operator's key on lmdb; on Redis it must be set, equal on every node.",
    { sensitive: true },
  ),
  logLevel: oneOf(
    ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
    "info",
    "How much is written to the log (standard output, one JSON object a line).",
  ),
} as const;

const MIB = 1024 * 1024;

/** Bounds of every queue, map, buffer and timer. */
export const LIMIT_SETTINGS = {
  // Sessions
  messageBytesMax: wholeNumber(
    "bytes",
    65_536,
    256 * MIB,
    4 * MIB,
    "One WebSocket message from a client; a larger one closes 1009.",
  ),
  inFlightMax: wholeNumber("requests", 1, 65_536, 1024, "Unanswered requests of one session."),
  streamsMax: wholeNumber("streams", 1, 10_000_000, 200_000, "Streams attached by one session."),
  subscriptionsMax: wholeNumber("subscriptions", 1, 65_536, 1024, "Open subscriptions of one session."),
  heartbeatMs: wholeNumber("ms", 100, 600_000, 20_000, "Between two pings to a session, ± 10 %."),
  pongTimeoutMs: wholeNumber("ms", 50, 600_000, 10_000, "Without a pong for so long, a session closes 4012."),
  ttlMsDefault: wholeNumber("ms", 1, 600_000, 10_000, "A request's time to live where it names none."),
  ttlMsMax: wholeNumber("ms", 1, 600_000, 30_000, "The longest time to live; more is lowered to it."),
  socketQueueBytesMax: wholeNumber(
    "bytes",
    65_536,
    1024 * MIB,
    8 * MIB,
    "Bytes waiting for one socket; more closes 4008.",
  ),
  socketPauseBytes: wholeNumber(
    "bytes",
    4096,
    1024 * MIB,
    MIB,
    "Bytes waiting for one socket above which events stay in the store.",
  ),
  socketStallMs: wholeNumber("ms", 50, 600_000, 10_000, "A socket that takes nothing for so long closes 4008."),
  handshakesPerSecond: wholeNumber(
    "handshakes/s",
    1,
    1_000_000,
    500,
    "New sessions a second on this node; more are answered 429.",
  ),
  handshakesPendingMax: wholeNumber(
    "handshakes",
    1,
    65_536,
    256,
    "Handshakes in progress at once; more are answered 429.",
  ),
  handshakeTimeoutMs: wholeNumber("ms", 100, 120_000, 10_000, "Within which a handshake must be complete."),
  sessionsMax: wholeNumber(
    "sessions",
    1,
    1_000_000,
    50_000,
    "Sessions of this node, of all applications; more are answered 429.",
  ),
  keyCheckMs: wholeNumber("ms", 50, 2000, 1000, "Between two looks at whether the keys of open sessions still stand."),
  // Streams
  streamReadsMax: wholeNumber("reads", 1, 4096, 32, "Reads of the store for subscribers at once, on this node."),
  streamReadEventsMax: wholeNumber("events", 1, 10_000, 128, "Events taken by one such read."),
  streamReadBytesMax: wholeNumber(
    "bytes",
    4096,
    64 * MIB,
    262_144,
    "Bytes taken by one such read (one event at least).",
  ),
  streamChecksPerSecond: wholeNumber(
    "streams/s",
    0,
    100_000,
    256,
    "Attached streams whose heads are looked up again, in turn; 0 turns it off.",
  ),
  acknowledgeDelayMs: wholeNumber(
    "ms",
    1,
    10_000,
    50,
    "For how long acknowledgements of one inbox are gathered into one write.",
  ),
  // Actors
  actorsMax: wholeNumber(
    "actors",
    16,
    10_000_000,
    50_000,
    "Actors held in memory; idle ones leave first. About 7 KB each.",
  ),
  mailboxMax: wholeNumber("commands", 1, 1_000_000, 1024, "Commands waiting for one actor."),
  passivateAfterMs: wholeNumber(
    "ms",
    100,
    86_400_000,
    60_000,
    "An actor leaves memory after so long without a command.",
  ),
  batchOperationsMax: wholeNumber("operations", 16, 16_384, 2048, "Operations in one write to the store."),
  batchBytesMax: wholeNumber("bytes", 65_536, 16 * MIB, 8 * MIB, "Bytes in one write to the store."),
  receivedTtlMs: wholeNumber(
    "ms",
    60_000,
    31_536_000_000,
    604_800_000,
    "For how long a receiver remembers how far a sender's messages have come.",
  ),
  outboxMessagesMax: wholeNumber(
    "messages",
    1,
    1_000_000,
    4096,
    "Undelivered messages between actors held in memory, of one shard; more stay in the store.",
  ),
  timersMax: wholeNumber(
    "timers",
    1,
    1_000_000,
    4096,
    "Timers held in memory, of one shard; later ones stay in the store.",
  ),
  internalCallMs: wholeNumber(
    "ms",
    100,
    120_000,
    10_000,
    "Time limit of a message between actors and of a timer's turn.",
  ),
  followedTreeBytesMax: wholeNumber(
    "bytes",
    1_048_576,
    64 * 1024 * MIB,
    256 * MIB,
    "Encoded size of the trees of fully tracked groups that are held in memory, decoded; others are loaded when needed.",
  ),
  treeWorkers: wholeNumber(
    "threads",
    1,
    64,
    1,
    "Threads that judge whole trees (`group.create`, trees of groups in `ordering` tracking), one tree at a time each; they start when they are needed.",
  ),
  treesWaitingMax: wholeNumber("trees", 1, 4096, 16, "Whole trees that wait for such a thread."),
  treeWorkerMebibytes: wholeNumber(
    "MiB",
    64,
    65_536,
    512,
    "Heap of one such thread; a tree that needs more is refused, and the thread replaced.",
  ),
  resultTtlMs: wholeNumber(
    "ms",
    1000,
    86_400_000,
    600_000,
    "For how long a result is remembered under its idempotency key.",
  ),
  storeTimeoutMs: wholeNumber(
    "ms",
    100,
    120_000,
    5000,
    "Without an answer of the store for so long, the outcome counts as unknown.",
  ),
  // Many nodes
  nodeHeartbeatMs: wholeNumber("ms", 50, 60_000, 1000, "Between two heartbeats of a node in the store."),
  selfFenceMs: wholeNumber(
    "ms",
    100,
    240_000,
    4000,
    "A node whose heartbeat has not reached the store for so long takes no more work.",
  ),
  expelMs: wholeNumber("ms", 100, 300_000, 5000, "A node whose heartbeat stands still for so long is expelled."),
  refusedExpelMs: wholeNumber(
    "ms",
    50,
    300_000,
    1500,
    "With two nodes: the same, when the other's port refuses connections.",
  ),
  handOverMs: wholeNumber("ms", 10, 60_000, 5000, "For one shard to be handed over; then it is taken."),
  incomingShardsMax: wholeNumber("shards", 1, 4096, 32, "Shards on their way to this node at once."),
  movingCallsMax: wholeNumber("calls", 1, 1_000_000, 16_384, "Calls that wait for shards on their way between nodes."),
  peerRequestsMax: wholeNumber(
    "requests",
    1,
    1_000_000,
    16_384,
    "Requests without an answer on one link between nodes.",
  ),
  peerMessageBytesMax: wholeNumber("bytes", MIB, 1024 * MIB, 128 * MIB, "One message between nodes."),
  peerQueueBytesMax: wholeNumber(
    "bytes",
    MIB,
    4096 * MIB,
    256 * MIB,
    "Bytes waiting for one other node; more cuts the link, and what was missed is read from the store.",
  ),
  // Stopping
  drainMs: wholeNumber("ms", 0, 600_000, 15_000, "From SIGTERM to the last closed session, at most."),
} as const;

type Values<Settings> = { readonly [Name in keyof Settings]: Settings[Name] extends Setting<infer T> ? T : never };

export type Limits = Values<typeof LIMIT_SETTINGS>;
export type Config = Values<typeof SERVER_SETTINGS> & { readonly limits: Limits };

/** `messageBytesMax` → `AEGIS_MESSAGE_BYTES_MAX`. */
export function environmentName(setting: string): string {
  return `AEGIS_${setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
