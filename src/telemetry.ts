// What the server tells its operator: one function an event, each of which counts it and, where a person
// should know, logs it. Never receives MLS bytes, tokens, tags or handles, and would redact them.
import pino, { type DestinationStream, type Logger } from "pino";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { actorEvents } from "./actor-telemetry.ts";
import { clusterEvents, storeEvents } from "./cluster-telemetry.ts";
import { describeError } from "./describe-error.ts";
import { Seldom } from "./seldom.ts";

export interface TelemetryOptions {
  readonly level: string;
  readonly node: string;
  readonly version: string;
  /** Where the log goes; standard output if undefined. */
  readonly destination?: DestinationStream;
}

/** A second net: no event passes any of these on. */
const REDACTED = [
  "token",
  "secret",
  "authorization",
  "key",
  "handle",
  "tags",
  "tag",
  "body",
  "params",
  "bytes",
  "message.body",
];

export type Telemetry = ReturnType<typeof createTelemetry>;

export function createTelemetry(options: TelemetryOptions) {
  const log = createLog(options);
  const registry = new Registry();
  // Event-loop lag, memory, garbage collection, open handles.
  collectDefaultMetrics({ register: registry, prefix: "aegis_" });
  new Gauge({
    name: "aegis_info",
    help: "Constant 1; its labels say what runs.",
    labelNames: ["version", "node"],
    registers: [registry],
  }).set({ version: options.version, node: options.node }, 1);
  return {
    log,
    /** The page of /metrics. */
    metrics: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
    ...processEvents(log),
    ...certificateEvents(log, registry),
    ...sessionEvents(log, registry),
    ...requestEvents(log, registry),
    ...deliveryEvents(log, registry),
    ...shardEvents(log, registry),
    ...actorEvents(log, registry),
    ...storeEvents(log, registry),
    ...clusterEvents(log, registry),
  };
}

function createLog({ level, node, version, destination }: TelemetryOptions): Logger {
  const paths = REDACTED.flatMap((name) => [name, `*.${name}`]);
  const settings = {
    level,
    base: { node, version },
    redact: { paths, censor: "[redacted]" },
    // pino's own would print a message that may quote what it was given.
    serializers: { err: describeError },
  };
  return destination === undefined ? pino(settings) : pino(settings, destination);
}

function processEvents(log: Logger) {
  return {
    serving: (at: { host: string; port: number; adminPort: number; store: string; durability: string }) =>
      log.info(at, "serving"),
    stopping: (signal: string) => log.info({ signal }, "stopping"),
    stopped: () => log.info("stopped"),
    /** Secrets were made at the first start: says where they are kept, never what they are. */
    secretKept: (what: string, path: string) =>
      log.warn({ path }, `made the deployment's ${what} and kept it in a file`),
    /** A defect: something asserted turned out wrong. The process goes on. */
    bug: (where: string, error: unknown) => log.error({ where, err: error }, "bug"),
    startRefused: (error: unknown) => log.fatal({ err: error }, "refused to start"),
  };
}

function certificateEvents(log: Logger, registry: Registry) {
  const valid = new Gauge({
    name: "aegis_certificate_valid_until_seconds",
    help: "When the port's own certificate expires, seconds since 1970; 0: it speaks no TLS.",
    registers: [registry],
  });
  return {
    certificateUsed(validUntilMs: number) {
      valid.set(validUntilMs / 1000);
      const validUntil = new Date(validUntilMs).toISOString();
      if (validUntilMs > Date.now()) log.info({ validUntil }, "certificate in use");
      else log.error({ validUntil }, "the certificate in use has expired: nobody who checks it connects");
    },
    certificateRefused: (error: unknown) => log.error({ err: error }, "the new certificate can't be used"),
  };
}

function sessionEvents(log: Logger, registry: Registry) {
  const registers = [registry];
  // Anybody can be refused.
  const refusals = new Seldom();
  const open = new Gauge({ name: "aegis_sessions", help: "Open sessions.", registers });
  const opened = new Counter({ name: "aegis_sessions_opened_total", help: "Sessions opened.", registers });
  const closed = new Counter({
    name: "aegis_sessions_closed_total",
    help: "Sessions closed, by close code; other: one that the client made up.",
    labelNames: ["code"],
    registers,
  });
  const refused = new Counter({
    name: "aegis_handshakes_refused_total",
    help: "Handshakes refused, by HTTP status.",
    labelNames: ["status"],
    registers,
  });
  return {
    sessionOpened(session: string, applicationId: string | undefined) {
      opened.inc();
      open.inc();
      log.debug({ session, applicationId }, "session opened");
    },
    sessionClosed(session: string, code: number | "other") {
      open.dec();
      closed.inc({ code });
      log.debug({ session, code }, "session closed");
    },
    handshakeRefused(status: number, reason: string, from: string | undefined) {
      refused.inc({ status });
      const unsaid = refusals.due(status);
      if (unsaid !== undefined) log.warn({ status, reason, from, unsaid }, "a handshake was refused");
    },
    draining: (sessions: number, deadlineMs: number) => log.info({ sessions, deadlineMs }, "draining"),
  };
}

/** From a cached read to the longest time to live. */
const LATENCY_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface NamedRequest {
  readonly method: string;
  /** What its caller calls it by. */
  readonly trace?: string;
}

function requestEvents(log: Logger, registry: Registry) {
  const registers = [registry];
  const answered = new Counter({
    name: "aegis_requests_total",
    help: "Requests answered, by method and code (OK or an error's).",
    labelNames: ["method", "code"],
    registers,
  });
  const seconds = new Histogram({
    name: "aegis_request_seconds",
    help: "From a request's frame to its answer's.",
    labelNames: ["method"],
    buckets: LATENCY_SECONDS,
    registers,
  });
  return {
    requestAnswered({ method, trace }: NamedRequest, code: string, latencyMs: number) {
      answered.inc({ method, code });
      seconds.observe({ method }, latencyMs / 1000);
      if (trace !== undefined) log.debug({ method, trace, code, latencyMs }, "answered");
    },
    dispatchRejected: ({ method, trace }: NamedRequest, error: unknown) =>
      log.error({ method, trace, err: error }, "bug: a method threw"),
  };
}

function deliveryEvents(log: Logger, registry: Registry) {
  const registers = [registry];
  const streams = new Gauge({ name: "aegis_streams_attached", help: "Streams attached by sessions.", registers });
  const events = new Counter({
    name: "aegis_events_sent_total",
    help: "Events sent, by where they came from.",
    labelNames: ["from"],
    registers,
  });
  const bytes = new Counter({
    name: "aegis_event_bytes_sent_total",
    help: "Bytes of the bodies of events sent.",
    registers,
  });
  const behind = new Counter({
    name: "aegis_streams_behind_total",
    help: "Times that an attached stream fell behind, for want of credit or a slow socket.",
    registers,
  });
  const reset = new Counter({
    name: "aegis_stream_resets_total",
    help: "RESET frames, by reason.",
    labelNames: ["reason"],
    registers,
  });
  const reads = new Counter({
    name: "aegis_stream_reads_total",
    help: "Reads of the store for subscribers.",
    registers,
  });
  return {
    streamAttached: () => streams.inc(),
    streamDetached: () => streams.dec(),
    eventsSent(from: "memory" | "store", count: number, size: number) {
      events.inc({ from }, count);
      bytes.inc(size);
    },
    streamBehind: () => behind.inc(),
    streamReset: (reason: string) => reset.inc({ reason }),
    streamRead: () => reads.inc(),
    deliveryFailed: (error: unknown) => log.warn({ err: error }, "a stream could not be read; it is tried again"),
  };
}

function shardEvents(log: Logger, registry: Registry) {
  const registers = [registry];
  const batches = new Counter({ name: "aegis_batches_total", help: "Batches committed to the store.", registers });
  const operations = new Counter({
    name: "aegis_batch_operations_total",
    help: "Operations in committed batches.",
    registers,
  });
  const releases = new Counter({
    name: "aegis_batch_releases_total",
    help: "Outputs that waited for a batch.",
    registers,
  });
  const wait = new Histogram({
    name: "aegis_batch_seconds",
    help: "From a batch's first turn until it is sent to the store.",
    buckets: LATENCY_SECONDS,
    registers,
  });
  const lost = new Counter({
    name: "aegis_shards_lost_total",
    help: "Times a shard was lost or fenced, by cause.",
    labelNames: ["cause"],
    registers,
  });
  const lineages = new Counter({
    name: "aegis_lineages_changed_total",
    help: "Shards whose stored history was lost.",
    registers,
  });
  const claimed = new Counter({ name: "aegis_shards_claimed_total", help: "Claims of shards.", registers });
  // On a disk that is full a shard is lost with every batch.
  const losses = new Seldom();
  return {
    batchCommitted(count: number, released: number, waitMs: number) {
      batches.inc();
      operations.inc(count);
      releases.inc(released);
      wait.observe(waitMs / 1000);
    },
    shardLost(shard: number, cause: string) {
      lost.inc({ cause });
      const unsaid = losses.due(shard);
      if (unsaid !== undefined) log.info({ shard, cause, unsaid }, "shard lost");
    },
    lineageChanged(shard: number) {
      lineages.inc();
      log.error({ shard }, "stored history was lost: the shard's lineage changed");
    },
    shardReleased: (shard: number) => log.debug({ shard }, "shard handed over"),
    shardClaimed(shard: number, fence: number) {
      claimed.inc();
      log.debug({ shard, fence }, "shard claimed");
    },
  };
}
