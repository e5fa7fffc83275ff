// One node over given ports: its cluster, actors and services, wired together. No socket, no thread and no process
// here: app.ts puts those around it, and the simulation puts its own.
import { randomUUID } from "node:crypto";
import { ActorHost } from "./actors/actor-host.ts";
import { shardOf } from "./actors/actor-address.ts";
import type { HostEvents } from "./actors/host-options.ts";
import { machineCatalogue } from "./actors/machine-catalogue.ts";
import type { Clock } from "./actors/store-clock.ts";
import { Cluster, type ClusterEvents } from "./cluster/cluster.ts";
import type { DialPeer } from "./cluster/peer-link-socket.ts";
import type { Limits } from "./config.ts";
import { Acknowledgements } from "./services/acknowledgements.ts";
import { ApplicationDirectory } from "./services/application-directory.ts";
import { ApplicationService } from "./services/application-service.ts";
import { Delivery } from "./services/delivery.ts";
import type { DeliveryEvents } from "./services/delivery-subscription.ts";
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
import type { Dispatch } from "./services/request-port.ts";
import { deriveSecrets } from "./services/secrets.ts";
import type { DeploymentSecrets } from "./services/deployment-secrets.ts";
import type { ServicePorts } from "./services/service-ports.ts";
import { StreamService } from "./services/stream-service.ts";
import { Successors } from "./services/successors.ts";
import { TagDirectory } from "./services/tag-directory.ts";
import type { TreeWorkers } from "./services/tree-workers.ts";
import type { RunQueue } from "./run-queue.ts";
import type { Store } from "./store/store.ts";

export interface NodeEvents extends HostEvents, ClusterEvents, DeliveryEvents {
  storeUnavailable(error: unknown): void;
}

export interface NodeOptions {
  readonly nodeId: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Shares the event loop; one for the whole process. */
  readonly runQueue: RunQueue;
  readonly secrets: DeploymentSecrets;
  readonly events: NodeEvents;
  /** host:port under which other nodes reach this one. */
  address(): string;
  /** Connects to another node's address. */
  readonly dial: DialPeer;
  /** The store has one process. */
  readonly alone: boolean;
  /** An operator wants this node to leave and its process to end. */
  drainAsked(): void;
  /** Judges whole trees. */
  readonly treeWorkers: Pick<TreeWorkers, "judge">;
  /** Fresh UUIDs; given by tests that replay recorded frames. */
  readonly newId?: () => string;
  /** Faults that only a test build turns on, by name. */
  readonly sabotage?: ReadonlySet<string>;
}

export interface ServerNode {
  readonly cluster: Cluster;
  readonly host: ActorHost;
  readonly delivery: Delivery;
  readonly dispatch: Dispatch;
  readonly applications: ApplicationService;
  readonly streams: StreamService;
  readonly acknowledgements: Acknowledgements;
}

const SEAL_CONTEXT = "idempotency result";

export function createNode(options: NodeOptions): ServerNode {
  const { store, limits, events } = options;
  // Cluster, actors, services and sessions ask one another: each is reached through here once all are there.
  const parts: Partial<Parts> = {};
  const cluster = createCluster(options, parts);
  const delivery = new Delivery({
    store: new InboxReader(store),
    shardOf: (actor) => shardOf(actor, store.shardCount),
    limits,
    events,
    followed: (actor, is) => cluster.attachments.followed(actor, is),
  });
  const host = createHost(options, cluster, parts);
  const ports: ServicePorts = {
    store,
    actors: cluster.router,
    clock: options.clock,
    identityProviders: new IdentityProviders(),
    newId: options.newId ?? randomUUID,
    turn: () => options.runQueue.turn(),
  };
  const { removals, ...services } = createServices(options, ports);
  Object.assign(parts, { host, delivery, removals } satisfies Parts);
  return { cluster, host, delivery, ...services };
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

function createCluster(options: NodeOptions, parts: Partial<Parts>): Cluster {
  const { store, nodeId, limits, runQueue, events, dial, alone, secrets, sabotage } = options;
  return new Cluster({
    store,
    nodeId,
    address: () => options.address(),
    linkKey: deriveSecrets(secrets.secret).linkKey,
    dial,
    limits,
    runQueue,
    events,
    alone,
    drainAsked: () => options.drainAsked(),
    host: () => part(parts, "host"),
    delivery: () => part(parts, "delivery"),
    ...(sabotage === undefined ? {} : { sabotage }),
  });
}

function createHost(
  { store, clock, limits, events, secrets, sabotage }: NodeOptions,
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
    limits,
    events,
    published: (actor, lineage, entries) => {
      part(parts, "delivery").published(actor, lineage, entries);
      cluster.followers.publish(actor, lineage, entries);
    },
    purged: (actor) => {
      part(parts, "delivery").purged(actor);
      cluster.followers.purge(actor);
    },
    proposeRemovals: async (applicationId, groupId) => part(parts, "removals").propose(applicationId, groupId),
    forgetApplication: (applicationId) => cluster.forgetApplication(applicationId),
    tooNew: (shard) => void cluster.tooNew(shard),
    seal: (plain) => seal(plain, SEAL_CONTEXT),
    open: (sealed) => open(sealed, SEAL_CONTEXT),
    ...(sabotage === undefined ? {} : { sabotage }),
  });
}

type Services = Pick<ServerNode, "dispatch" | "applications" | "streams" | "acknowledgements"> & {
  readonly removals: Removals;
};

function createServices({ limits, events, secrets, treeWorkers }: NodeOptions, ports: ServicePorts): Services {
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
  const tags = new TagDirectory(ports);
  const groups = new GroupDirectory(ports);
  const follower = new GroupFollower(ports, groups, limits);
  const full = new FullTracking(ports, groups, follower, senders);
  const infos = new GroupInfoChecks(ports, treeWorkers);
  const successors = new Successors(ports, groups);
  const streams = new StreamService(ports, groups);
  const acknowledgements = new Acknowledgements(streams, limits);
  const dispatch = createDispatch({
    directory,
    applications,
    identities: new IdentityService(ports, tags, limits),
    keyPools: new KeyPoolService(ports, tags, limits),
    groups: new GroupService(ports, groups, follower),
    groupLives: new GroupLifecycleService(ports, groups, successors, infos, full),
    handshakes: new HandshakeService(ports, groups, successors, {
      full,
      ordering: new OrderingTracking(groups, infos),
    }),
    streams,
    unavailable: (error) => events.storeUnavailable(error),
  });
  const removals = new Removals({ ports, directory, groups, follower, senders });
  return { dispatch, applications, streams, acknowledgements, removals };
}
