// The one place that wires everything: store, actors, services, transport, and the order in which they
// start and stop. Decides nothing else.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { ActorHost } from "./actors/actor-host.ts";
import { shardOf } from "./actors/actor-address.ts";
import { machineCatalogue } from "./actors/machine-catalogue.ts";
import { StoreClock } from "./actors/store-clock.ts";
import { advertisedAddress } from "./cluster/advertised-address.ts";
import { Cluster } from "./cluster/cluster.ts";
import { PEER_PATH } from "./cluster/peer-frames.ts";
import { webSocketDialer } from "./cluster/peer-link-socket.ts";
import type { Config } from "./config.ts";
import { Acknowledgements } from "./services/acknowledgements.ts";
import { ApplicationDirectory } from "./services/application-directory.ts";
import { ApplicationService } from "./services/application-service.ts";
import { Delivery } from "./services/delivery.ts";
import { createDispatch } from "./services/dispatcher.ts";
import { ExternalSenders } from "./services/external-senders.ts";
import { FullTracking } from "./services/full-tracking.ts";
import { GroupDirectory } from "./services/group-directory.ts";
import { GroupFollower } from "./services/group-follower.ts";
import { GroupInfoChecks } from "./services/group-info-checks.ts";
import { GroupLifecycleService } from "./services/group-lifecycle-service.ts";
import { GroupService } from "./services/group-service.ts";
import { HandshakeService } from "./services/handshake-service.ts";
import { IdentityProviders } from "./services/identity-provider-choice.ts";
import { IdentityService } from "./services/identity-service.ts";
import { KeyPoolService } from "./services/key-pool-service.ts";
import { InboxReader } from "./services/inbox-reader.ts";
import { OrderingTracking } from "./services/ordering-tracking.ts";
import { Removals } from "./services/removals.ts";
import { deriveSecrets } from "./services/secrets.ts";
import type { DeploymentSecrets } from "./services/deployment-secrets.ts";
import type { ServicePorts } from "./services/service-ports.ts";
import { StreamService } from "./services/stream-service.ts";
import { Successors } from "./services/successors.ts";
import { TagDirectory } from "./services/tag-directory.ts";
import { TreeWorkers } from "./services/tree-workers.ts";
import { openStore } from "./store/open-store.ts";
import type { SabotageSwitches } from "./store/sabotage.ts";
import type { Store } from "./store/store.ts";
import type { Telemetry } from "./telemetry.ts";
import { startAdminServer, type AdminServer } from "./transport/admin-server.ts";
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
}

const CLOCK_RESYNC_MS = 10_000;
const SEAL_CONTEXT = "idempotency result";

/** @throws StoreRefused when the store can't keep what the configuration promises */
export async function startApp(options: AppOptions): Promise<App> {
  const { telemetry } = options;
  const store = await openConfigured(options);
  try {
    return await serve(options, store);
  } catch (error) {
    await store.close();
    telemetry.bug("start", error);
    throw error;
  }
}

function openConfigured({ config, secrets, telemetry, sabotage }: AppOptions): Promise<Store> {
  const { store, durability, shards, prefix, assumeDurability, redisCaFile, limits } = config;
  return openStore(store.kind === "lmdb" ? `lmdb:${store.path}` : store.url, {
    durability,
    shardCount: shards,
    prefix,
    deployment: deriveSecrets(secrets.secret).deployment,
    assumeDurability: assumeDurability === "yes",
    commandTimeoutMs: limits.storeTimeoutMs,
    onEvent: telemetry.storeEvent,
    ...(redisCaFile === undefined ? {} : { tlsCa: readFileSync(redisCaFile, "utf8") }),
    ...(sabotage === undefined ? {} : { sabotage: sabotage as SabotageSwitches }),
  });
}

async function serve(options: AppOptions, store: Store): Promise<App> {
  const { config, telemetry } = options;
  const clock = new StoreClock(store, CLOCK_RESYNC_MS);
  await clock.start();
  const listening = { port: config.port };
  // Cluster, actors, services and sessions ask one another: each is reached through here once all are there.
  const parts: Partial<Parts> = {};
  const cluster = createCluster(options, store, parts, () => advertisedAddress(config, listening.port));
  const delivery = new Delivery({
    store: new InboxReader(store),
    shardOf: (actor) => shardOf(actor, store.shardCount),
    limits: config.limits,
    events: telemetry,
    followed: (actor, is) => cluster.relay.followed(actor, is),
  });
  const host = createHost(options, store, clock, cluster, parts);
  const ports: ServicePorts = {
    store,
    actors: cluster.router,
    clock,
    identityProviders: new IdentityProviders(),
    newId: options.newId ?? randomUUID,
  };
  const treeWorkers = new TreeWorkers(config.limits, (error) => {
    telemetry.bug("tree worker", error);
  });
  const { server, acknowledgements, removals } = createServer(options, ports, delivery, treeWorkers, cluster);
  Object.assign(parts, { host, delivery, removals } satisfies Parts);
  host.start();
  listening.port = await server.listen();
  await cluster.start();
  await cluster.settled();
  server.open();
  const admin = await startAdminServer({
    host: config.adminHost,
    port: config.adminPort,
    ready: async () => !server.draining && cluster.ready && (await store.healthy()),
    metrics: telemetry.metrics,
  });
  return {
    port: listening.port,
    adminPort: admin.port,
    stop: once(() =>
      stop({ server, admin, acknowledgements, treeWorkers, delivery, host, clock, cluster, store, config }),
    ),
  };
}

/** What the parts reach of one another. */
interface Parts {
  readonly host: ActorHost;
  readonly delivery: Delivery;
  readonly removals: Removals;
}

function part<Name extends keyof Parts>(parts: Partial<Parts>, name: Name): Parts[Name] {
  const found = parts[name];
  if (found === undefined) throw new Error(`${name} is not there yet`);
  return found;
}

function createCluster(
  { config, telemetry, nodeId, secrets, sabotage }: AppOptions,
  store: Store,
  parts: Partial<Parts>,
  address: () => string,
): Cluster {
  return new Cluster({
    store,
    nodeId,
    address,
    linkKey: deriveSecrets(secrets.secret).linkKey,
    dial: webSocketDialer(config.limits),
    limits: config.limits,
    events: telemetry,
    // The embedded store's folder is locked: whoever is recorded there is gone.
    alone: config.store.kind === "lmdb",
    host: () => part(parts, "host"),
    delivery: () => part(parts, "delivery"),
    ...(sabotage === undefined ? {} : { sabotage }),
  });
}

function createHost(
  { config, telemetry, secrets, sabotage }: AppOptions,
  store: Store,
  clock: StoreClock,
  cluster: Cluster,
  parts: Partial<Parts>,
): ActorHost {
  const { seal, open } = deriveSecrets(secrets.secret);
  return new ActorHost({
    store,
    clock,
    claims: cluster.ownership,
    actors: cluster.router,
    catalogue: machineCatalogue,
    limits: config.limits,
    events: telemetry,
    published: (actor, lineage, entries) => {
      part(parts, "delivery").published(actor, lineage, entries);
      cluster.relay.publish(actor, lineage, entries);
    },
    purged: (actor) => {
      part(parts, "delivery").purged(actor);
      cluster.relay.purge(actor);
    },
    proposeRemovals: async (applicationId, groupId) => part(parts, "removals").propose(applicationId, groupId),
    forgetApplication: (applicationId) => cluster.forgetApplication(applicationId),
    seal: (plain) => seal(plain, SEAL_CONTEXT),
    open: (sealed) => open(sealed, SEAL_CONTEXT),
    ...(sabotage === undefined ? {} : { sabotage }),
  });
}

function createServer(
  options: AppOptions,
  ports: ServicePorts,
  delivery: Delivery,
  treeWorkers: TreeWorkers,
  cluster: Cluster,
): { readonly server: AegisServer; readonly acknowledgements: Acknowledgements; readonly removals: Removals } {
  const { config, telemetry, secrets, nodeId, version } = options;
  const directory = new ApplicationDirectory(ports.store);
  const derived = deriveSecrets(secrets.secret);
  const senders = new ExternalSenders(ports, derived);
  const applications = new ApplicationService({
    ports,
    directory,
    secrets: derived,
    senders,
    operatorKey: secrets.operatorKey,
  });
  const tags = new TagDirectory(ports.store);
  const groups = new GroupDirectory(ports);
  const follower = new GroupFollower(ports, groups, config.limits);
  const full = new FullTracking(ports, groups, follower, senders);
  const infos = new GroupInfoChecks(ports, treeWorkers);
  const successors = new Successors(ports, groups);
  const streams = new StreamService(ports, groups);
  const acknowledgements = new Acknowledgements(streams, config.limits);
  const dispatch = createDispatch({
    directory,
    applications,
    identities: new IdentityService(ports, tags),
    keyPools: new KeyPoolService(ports, tags),
    groups: new GroupService(ports, groups, follower),
    groupLives: new GroupLifecycleService(ports, groups, successors, infos, full),
    handshakes: new HandshakeService(ports, groups, successors, {
      full,
      ordering: new OrderingTracking(groups, infos),
    }),
    streams,
    unavailable: telemetry.storeUnavailable,
  });
  const server = new AegisServer({
    host: config.host,
    port: config.port,
    node: nodeId,
    version,
    dispatch,
    authenticator: applications,
    delivery,
    streams,
    acknowledgements,
    otherUpgrades: new Map([[PEER_PATH, (request, socket, head) => cluster.links.upgrade(request, socket, head)]]),
    limits: config.limits,
    events: telemetry,
  });
  return { server, acknowledgements, removals: new Removals({ ports, directory, groups, follower, senders }) };
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

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= run());
}
