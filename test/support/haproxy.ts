// The real haproxy with the deployment's own file, in front of real nodes on loopback.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port.ts";

/** Debian keeps it where only root looks. */
export const haproxyPath = `${process.env["PATH"] ?? ""}:/usr/sbin`;

const file = path.resolve(import.meta.dirname, "../../deploy/haproxy/haproxy.cfg");
const servesWithinMs = 10_000;

export interface Haproxy {
  readonly port: number;
  readonly url: string;
  /** What it has logged. */
  readonly output: string;
  stop(): Promise<void>;
}

export interface HaproxyNode {
  readonly port: number;
  readonly adminPort: number;
}

/** @param nodes one to three */
export async function startHaproxy(nodes: readonly HaproxyNode[]): Promise<Haproxy> {
  const port = await freePort();
  const env: Record<string, string> = { PATH: haproxyPath, FRONT: `127.0.0.1:${port}` };
  nodes.forEach((node, n) => {
    env[`NODE_${n + 1}`] = `127.0.0.1:${node.port}`;
    env[`NODE_${n + 1}_ADMIN_PORT`] = String(node.adminPort);
  });
  // The kernel ends it with us even where our own handlers do not run: after a kill -9 of the test.
  const bound = process.platform === "linux" ? ["setpriv", "--pdeathsig", "KILL"] : [];
  const words = [...bound, "haproxy", "-db", "-f", file];
  const [command, ...args] = words as [string, ...string[]];
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  };
  const until = performance.now() + servesWithinMs;
  // 426: a node has answered that this is for WebSockets.
  while ((await fetch(`http://127.0.0.1:${port}/v1/ws`).catch(() => undefined))?.status !== 426) {
    if (child.exitCode !== null || performance.now() > until) {
      await stop();
      throw new Error(`haproxy does not serve:\n${output}`);
    }
    await delay(20);
  }
  return {
    port,
    url: `ws://127.0.0.1:${port}`,
    get output() {
      return output;
    },
    stop,
  };
}
