// Three nodes under a recorded load, and the waits that chaos tests share: until calls go on, until the shards of a
// node that is gone are owned by the others, until everybody is back. Each wait ends at once when a judge has spoken.
import { expect } from "vitest";
import { ClusterProcess, type ClusterProcessOptions } from "./cluster-process.ts";
import { RecordedLoad, type LoadOptions } from "./recorded-load.ts";

const WAIT_MS = 30_000;

export class ClusterUnderLoad {
  readonly cluster: ClusterProcess;
  readonly load: RecordedLoad;

  private constructor(cluster: ClusterProcess, load: RecordedLoad) {
    this.cluster = cluster;
    this.load = load;
  }

  static async start(
    options: Partial<ClusterProcessOptions>,
    load: Omit<LoadOptions, "url" | "operatorToken">,
  ): Promise<ClusterUnderLoad> {
    const cluster = await ClusterProcess.start({ nodes: 3, ...options });
    try {
      const { url, operatorToken } = cluster;
      return new ClusterUnderLoad(cluster, await RecordedLoad.start({ url, operatorToken, ...load }));
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
  }

  /** The load goes on: so many more calls were answered. */
  async goesOn(calls = 200): Promise<void> {
    const goal = this.load.answered + calls;
    await this.until(() => this.load.answered >= goal);
  }

  /** @throws what the load found wrong meanwhile */
  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    const reached = async () => this.load.failure !== undefined || (await condition());
    await expect.poll(reached, { timeout: WAIT_MS, interval: 20 }).toBe(true);
    if (this.load.failure !== undefined) throw this.load.failure;
  }

  /** The node that owns the group that commits contend for at this moment. */
  async contendedOwner(): Promise<number> {
    return this.cluster.ownerOf(this.load.contendedGroup);
  }

  /** Until every shard is owned by the others, who count on one another alone. @returns how long it took */
  async healedWithout(gone: number, sinceMs = performance.now()): Promise<number> {
    const others = this.cluster.servers.filter((_, n) => n !== gone);
    for (const server of others) await this.until(async () => (await server.metric("aegis_members")) === 1);
    for (const { adminUrl } of others) {
      await this.until(async () => (await this.cluster.nodes(adminUrl)).unowned === 0);
    }
    return performance.now() - sinceMs;
  }

  /** Until all nodes count on one another and own what is placed on them. */
  async whole(): Promise<void> {
    const { servers } = this.cluster;
    for (const server of servers) {
      await this.until(async () => (await server.metric("aegis_members")) === servers.length - 1);
    }
    for (const server of servers) await this.until(() => server.isReady());
    await this.until(async () => (await this.cluster.nodes()).unowned === 0);
  }

  /** The load ends and everything is judged. @returns what there was of it, to be printed */
  async finish(): Promise<string> {
    const { load } = this;
    await load.stop();
    await load.check();
    expect(load.unanswered).toBe(0);
    await load.close();
    const { retryable, unknown } = load.givenUp;
    return `${load.answered} calls answered, given up early: ${retryable} not applied, ${unknown} unknown`;
  }

  async dispose(): Promise<void> {
    await this.cluster.dispose();
  }
}
