// A whole node on a simulated machine: what src/node.ts wires, over the simulated store and network, with real sessions
// for its clients. Starts, leaves, dies and comes back as its supervisor would have it.
import { EventEmitter } from "node:events";
import type { WebSocket } from "ws";
import { StoreClock } from "../../src/actors/store-clock.ts";
import { PEER_PATH } from "../../src/cluster/peer-frames.ts";
import { createNode, type NodeEvents, type ServerNode } from "../../src/node.ts";
import { closeCodes } from "../../src/protocol/close-codes.ts";
import { RunQueue } from "../../src/run-queue.ts";
import type { Principal } from "../../src/services/request-port.ts";
import { Session } from "../../src/transport/session.ts";
import { fairWeather, storeView, type StoreWeather } from "./store-view.ts";
import { Machine } from "./machine.ts";
import type { SimSocket } from "./sim-socket.ts";
import type { World } from "./world.ts";

const CLOCK_RESYNC_MS = 10_000;
const RESTART_MS = 1_000;

export class SimNode {
  readonly name: string;
  readonly address: string;
  /** Of its way to the store; outlives the process. */
  readonly weather: StoreWeather = fairWeather();
  machine: Machine;
  server: ServerNode | undefined;
  #runQueue: RunQueue;
  nodeId = "";
  ready = false;
  /** Shards that it should own and did not at its last look. */
  missing = 0;
  leaving = false;
  /** Down until somebody starts it again. */
  down = true;
  /** Called once when the process has ended. */
  onceDown: (() => void) | undefined;
  readonly #world: World;
  #generation = 0;
  readonly #sessions = new Set<Session>();

  constructor(world: World, name: string) {
    this.#world = world;
    this.#runQueue = new RunQueue({ turnMs: world.limits.loopTurnMs });
    this.name = name;
    this.address = `${name}:7400`;
    this.machine = new Machine(world.simulator, `${name}.0`);
    this.machine.kill();
  }

  get running(): boolean {
    return !this.down && this.machine.state === "running";
  }

  /** It takes clients, and owns what it should. */
  get serves(): boolean {
    return (
      this.running &&
      this.ready &&
      !this.leaving &&
      this.missing === 0 &&
      this.machine.inside(() => this.server?.cluster.ready === true)
    );
  }

  /** Begins a fresh process on the machine. */
  start(): void {
    const { simulator, network } = this.#world;
    if (this.machine.state !== "dead") throw new Error(`${this.name} runs already`);
    this.#generation += 1;
    this.nodeId = `${this.name}-${this.#generation}`;
    const machine = new Machine(simulator, this.nodeId, simulator.between(0.995, 1.005));
    machine.wallOffsetMs = simulator.chance(0.3) ? simulator.between(-3_600_000, 3_600_000) : 0;
    this.machine = machine;
    this.#sessions.clear();
    this.#runQueue = new RunQueue({ turnMs: this.#world.limits.loopTurnMs });
    [this.ready, this.leaving, this.down, this.server] = [false, false, false, undefined];
    network.listen(this.address, { machine, accept: (socket, path) => this.#accept(machine, socket, path) });
    machine.after(0, "arrival", "starts", () => {
      this.#serve(machine).catch((error: unknown) => {
        // As main.ts does: a node that can't start ends, and its supervisor tries again.
        simulator.note(`${this.nodeId} could not start: ${String(error)}`);
        this.kill(false);
        this.#world.later(RESTART_MS, `restart ${this.name}`, () => this.down && this.start());
      });
    });
  }

  /** As kill -9; `silent`: its host with it. */
  kill(silent: boolean): void {
    this.down = true;
    this.machine.kill();
    this.#world.network.died(this.machine, silent);
    const { onceDown } = this;
    this.onceDown = undefined;
    if (onceDown !== undefined) this.#world.later(1, `${this.name} is down`, onceDown);
  }

  /** As SIGTERM; its supervisor does not start it again. */
  leave(): void {
    const { machine, server } = this;
    if (!this.ready || server === undefined || this.leaving) return;
    this.leaving = true;
    machine.after(0, "arrival", "leaves", () => this.#stop(machine, server));
  }

  async #serve(machine: Machine): Promise<void> {
    const { world, view } = this.#surroundings(machine);
    const clock = new StoreClock(view, CLOCK_RESYNC_MS);
    await clock.start();
    const server = createNode({
      nodeId: this.nodeId,
      store: view,
      clock,
      limits: world.limits,
      runQueue: this.#runQueue,
      secrets: world.secrets,
      events: this.#events(),
      address: () => this.address,
      dial: (address) => world.network.dial(machine, address, PEER_PATH),
      alone: false,
      drainAsked: () => this.leave(),
      treeWorkers: { judge: () => Promise.reject(new Error("no tree in a simulation is as large as that")) },
      sabotage: world.sabotage,
    });
    this.server = server;
    server.host.start();
    await server.cluster.start();
    await server.cluster.settled();
    this.ready = true;
  }

  async #stop(machine: Machine, { cluster, acknowledgements, delivery, host }: ServerNode): Promise<void> {
    const { limits } = this.#world;
    await Promise.all([this.#drain(limits.drainMs), cluster.leave(limits.handOverMs)]);
    await acknowledgements.flush();
    delivery.stop();
    await host.stop();
    await cluster.stop();
    for (const session of [...this.#sessions]) session.close(closeCodes.restart);
    // The process ends by itself: its sockets are closed as they should be.
    machine.after(1, "arrival", "exits", () => this.kill(false));
  }

  async #drain(deadlineMs: number): Promise<void> {
    const until = performance.now() + deadlineMs;
    for (const session of this.#sessions) {
      session.goAway({ reason: "DRAINING", deadlineMs, reconnectMinMs: 10, reconnectMaxMs: 200 });
    }
    while (this.#sessions.size > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const session of [...this.#sessions]) session.close(closeCodes.drained);
  }

  #accept(machine: Machine, socket: SimSocket, path: string): boolean {
    const { server } = this;
    if (machine !== this.machine || server === undefined) return false;
    if (path === PEER_PATH) {
      server.cluster.links.accept(socket, new EventEmitter());
      return true;
    }
    if (!this.ready || this.leaving) return false;
    this.#openSession(server, socket, path);
    return true;
  }

  #openSession(server: ServerNode, socket: SimSocket, path: string): void {
    const world = this.#world;
    const { dispatch, delivery, streams, acknowledgements, applications } = server;
    const session = new Session(socket as unknown as WebSocket, {
      host: this.name,
      port: 7400,
      node: this.nodeId,
      version: "simulated",
      dispatch: (request) => world.watched(this, request, dispatch),
      authenticator: applications,
      delivery,
      streams,
      acknowledgements,
      otherUpgrades: new Map(),
      runQueue: this.#runQueue,
      limits: world.limits,
      events: {
        sessionOpened: () => undefined,
        sessionClosed: () => undefined,
        handshakeRefused: () => undefined,
        requestAnswered: () => undefined,
        dispatchRejected: ({ method }, error) => world.bug(`${this.nodeId} ${method}`, error),
        bug: (where, error) => world.bug(`${this.nodeId} ${where}`, error),
        draining: () => undefined,
      },
      session: `${this.nodeId}/${String(this.#sessions.size)}/${String(world.simulator.eventsRun)}`,
      principal: principalOf(path),
      takeRequest: () => 0,
      ended: (ended) => this.#sessions.delete(ended),
      gone: () => undefined,
    });
    this.#sessions.add(session);
  }

  #surroundings(machine: Machine) {
    const world = this.#world;
    const { store, tags, storeMachine } = world;
    const timeoutMs = world.limits.storeTimeoutMs;
    const view = storeView({ store, tags, host: storeMachine, machine, weather: this.weather, timeoutMs });
    return { world, view };
  }

  #events(): NodeEvents {
    const { simulator } = this.#world;
    const say = (line: string): void => simulator.note(`${this.nodeId}: ${line}`);
    return {
      batchCommitted: () => undefined,
      shardLost: (shard, cause) => say(`lost shard ${shard}: ${cause}`),
      lineageChanged: (shard) => {
        this.#world.lineageChanges += 1;
        say(`lineage of shard ${shard} changed`);
      },
      shardClaimed: (shard, fence) => say(`claimed shard ${shard} at ${fence}`),
      shardReleased: (shard) => say(`released shard ${shard}`),
      actorFailed: (kind, cause) => this.#world.bug(`${this.nodeId} ${kind}`, cause),
      snapshotTooNew: (_, kind) => this.#world.bug(`${this.nodeId} ${kind}`, new Error("all nodes are of one version")),
      actorsLive: () => undefined,
      memberJoined: ({ nodeId }) => say(`member ${nodeId}`),
      memberGone: ({ nodeId }, expelled) => say(`member ${nodeId} gone${expelled ? ", expelled" : ""}`),
      heartbeatFailed: () => say("heartbeat failed"),
      rejoined: (nodeId) => {
        this.nodeId = nodeId;
        say("rejoined");
      },
      distrusted: (cause) => say(`distrusts itself: ${cause}`),
      shardTaken: (shard) => say(`took shard ${shard}`),
      callForwarded: () => undefined,
      shardsCounted: (_, missing) => (this.missing = missing),
      memberReached: ({ nodeId }) => say(`reaches ${nodeId}`),
      memberUnreached: ({ nodeId }) => say(`can't reach ${nodeId}`),
      bug: (where, error) => this.#world.bug(`${this.nodeId} ${where}`, error),
      streamAttached: () => undefined,
      streamDetached: () => undefined,
      eventsSent: () => undefined,
      streamBehind: () => undefined,
      streamReset: () => undefined,
      streamRead: () => undefined,
      deliveryFailed: () => undefined,
      storeUnavailable: () => undefined,
    };
  }
}

/** In place of a token: the path says who dials. */
function principalOf(path: string): Principal {
  const [, applicationId] = path.split("#");
  if (applicationId === undefined) return { kind: "operator" };
  return { kind: "application", applicationId, keyId: "simulated", scopes: ["identity", "keyPool", "group"] };
}
