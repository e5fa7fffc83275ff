// The one place that wires everything: store, node, transport, and the order in which they start and stop.
// Decides nothing else.
import type { ActorHost } from "./actors/actor-host.ts";
import { StoreClock } from "./actors/store-clock.ts";
import { advertisedAddress } from "./cluster/advertised-address.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { webSocketDialer, type LinkTrust } from "./cluster/peer-link-socket.ts";
import type { Config } from "./config.ts";
import { createNode } from "./node.ts";
import type { Acknowledgements } from "./services/acknowledgements.ts";
import type { Delivery } from "./services/delivery.ts";
import { RunQueue } from "./run-queue.ts";
import { deriveSecrets } from "./services/secrets.ts";
import type { DeploymentSecrets } from "./services/deployment-secrets.ts";
import { TreeWorkers } from "./services/tree-workers.ts";
import { openStore } from "./store/open-store.ts";
import type { SabotageSwitches } from "./store/sabotage.ts";
import type { Store } from "./store/store.ts";
import type { Telemetry } from "./telemetry.ts";
import { startAdminServer, type AdminServer } from "./transport/admin-server.ts";
import { readAuthority, ServerCertificate } from "./transport/server-certificate.ts";
import { AegisServer } from "./transport/websocket-server.ts";

export interface AppOptions {
  readonly config: Config;
  readonly secrets: DeploymentSecrets;
  readonly telemetry: Telemetry;
  readonly version: string;
  readonly nodeId: string;
  /** Fresh UUIDs; given by tests that replay recorded frames. */
  readonly newId?: () => string;
  /** Faults that only a test build turns on, by name. */
  readonly sabotage?: ReadonlySet<string>;
}

export interface App {
  readonly port: number;
  readonly adminPort: number;
  /** Takes no new work, lets sessions go, writes what is pending, lets go of the store. */
  stop(): Promise<void>;
  /** Settles as `stop` does, whoever asked for it: an operator may, through any node. */
  readonly stopped: Promise<void>;
}

const CLOCK_RESYNC_MS = 10_000;

/** @throws StoreRefused when the store can't keep what the configuration promises */
export async function startApp(options: AppOptions): Promise<App> {
  const tls = tlsOf(options);
  const store = await openConfigured(options);
  try {
    return await serve(options, store, tls);
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Tls {
  readonly certificate: ServerCertificate;
  readonly trust: LinkTrust;
}

/** What the port shows and what links believe, where it speaks TLS. @throws Error saying which file can't be used */
function tlsOf({ config, telemetry }: AppOptions): Tls | undefined {
  const { tlsCertFile, tlsKeyFile, linkCaFile, linkServerName } = config;
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
  const ca = linkCaFile === undefined ? undefined : readAuthority("linkCaFile", linkCaFile);
  const certificate = new ServerCertificate({ certFile: tlsCertFile, keyFile: tlsKeyFile }, telemetry);
  return { certificate, trust: { ca, serverName: linkServerName } };
}

function openConfigured({ config, secrets, telemetry, sabotage }: AppOptions): Promise<Store> {
  const { store, durability, shards, prefix, assumeDurability, redisCaFile, sentinelPassword, limits } = config;
  return openStore(store.kind === "lmdb" ? `lmdb:${store.path}` : store.url, {
    durability,
    shardCount: shards,
    prefix,
    deployment: deriveSecrets(secrets.secret).deployment,
    assumeDurability: assumeDurability === "yes",
    commandTimeoutMs: limits.storeTimeoutMs,
    connections: config.redisConnections,
    onEvent: telemetry.storeEvent,
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(redisCaFile === undefined ? {} : { tlsCa: readAuthority("redisCaFile", redisCaFile) }),
    ...(sabotage === undefined ? {} : { sabotage: sabotage as SabotageSwitches }),
  });
}

async function serve(options: AppOptions, store: Store, tls: Tls | undefined): Promise<App> {
  const { config, telemetry, nodeId, version } = options;
  const clock = new StoreClock(store, CLOCK_RESYNC_MS);
  await clock.start();
  const listening = { port: config.port };
  const started: { ending?: Ending } = {};
  const treeWorkers = new TreeWorkers(config.limits, (error) => {
    telemetry.bug("tree worker", error);
  });
  const runQueue = new RunQueue({ turnMs: config.limits.loopTurnMs });
  const node = createNode({
    ...options,
    store,
    clock,
    limits: config.limits,
    runQueue,
    events: telemetry,
    address: () => advertisedAddress(config, listening.port),
    dial: webSocketDialer(config.limits, tls?.trust),
    // The embedded store's folder is locked: whoever is recorded there is gone.
    alone: config.store.kind === "lmdb",
    treeWorkers,
    drainAsked: () => {
      if (started.ending === undefined) throw new Error("the node is still starting");
      telemetry.stopping("drain");
      // Whoever waits for `stopped` hears of a failure.
      started.ending.stop().catch(() => undefined);
    },
  });
  const { cluster, host, dispatch, delivery, streams, acknowledgements } = node;
  const server = new AegisServer({
    host: config.host,
    port: config.port,
    certificate: tls?.certificate,
    node: nodeId,
    version,
    dispatch,
    authenticator: node.applications,
    delivery,
    streams,
    acknowledgements,
    otherUpgrades: cluster.upgrades,
    runQueue,
    limits: config.limits,
    events: telemetry,
  });
  host.start();
  listening.port = await server.listen();
  // Both ports before it joins: one that can't be opened must not cost the others an expulsion.
  const isOpen = (): boolean => started.ending !== undefined && !server.draining;
  const admin = await startAdmin(options, { store, cluster, isOpen });
  await cluster.start();
  await cluster.settled();
  server.open();
  const running = { server, admin, acknowledgements, treeWorkers, delivery, host, clock, cluster, store, config };
  started.ending = endingWith(() => stop(running));
  return { port: listening.port, adminPort: admin.port, ...started.ending };
}

interface Administered {
  readonly store: Store;
  readonly cluster: Cluster;
  /** It has joined, and lets clients in. */
  isOpen(): boolean;
}

/** @throws ListenRefused */
function startAdmin(
  { config, secrets, telemetry }: AppOptions,
  { store, cluster, isOpen }: Administered,
): Promise<AdminServer> {
  const { hashKeySecret, matchesKeySecret } = deriveSecrets(secrets.secret);
  const operatorMac = hashKeySecret(secrets.operatorKey);
  return startAdminServer({
    host: config.adminHost,
    port: config.adminPort,
    ready: async () => isOpen() && cluster.ready && (await store.healthy()),
    lineagesChanged: () => cluster.lineagesChanged,
    metrics: telemetry.metrics,
    operator: { isOperator: (token) => matchesKeySecret(token, operatorMac), cluster: cluster.oversight },
  });
}

interface Running {
  readonly server: AegisServer;
  readonly admin: AdminServer;
  readonly acknowledgements: Acknowledgements;
  readonly treeWorkers: TreeWorkers;
  readonly delivery: Delivery;
  readonly host: ActorHost;
  readonly clock: StoreClock;
  readonly cluster: Cluster;
  readonly store: Store;
  readonly config: Config;
}

async function stop(running: Running): Promise<void> {
  const { server, admin, acknowledgements, treeWorkers, delivery, host, clock, cluster, store, config } = running;
  // Sessions go on while shards are handed over: what they ask is asked of the new owners.
  await Promise.all([server.drain(config.limits.drainMs), cluster.leave(config.limits.handOverMs)]);
  await acknowledgements.flush();
  await treeWorkers.close();
  delivery.stop();
  await host.stop();
  clock.stop();
  await cluster.stop();
  await server.close();
  await admin.close();
  await store.close();
}

type Ending = Pick<App, "stop" | "stopped">;

function endingWith(run: () => Promise<void>): Ending {
  let running: Promise<void> | undefined;
  let settle: (running: Promise<void>) => void;
  const stopped = new Promise<void>((resolve) => (settle = resolve));
  // Nobody may be waiting for it.
  stopped.catch(() => undefined);
  const stop = (): Promise<void> => {
    if (running === undefined) settle((running = run()));
    return running;
  };
  return { stop, stopped };
}
