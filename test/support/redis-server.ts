// Starts a real Redis for one test: free port, own temporary folder, gone at the end.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

export interface RedisServerOptions {
  /** Default "always". */
  readonly appendfsync?: "always" | "everysec" | "no";
  /** Default: a free one. */
  readonly port?: number;
  /** In cluster mode: the port on which the servers of a cluster speak with one another. Else none. */
  readonly busPort?: number;
  /** More of redis-server's own options, as on its command line. */
  readonly args?: readonly string[];
  /** What runs redis-server: strace with its arguments, say. It must become the server, or end with it. */
  readonly wrapper?: readonly string[];
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Of the running process; another after `restart`. */
  readonly pid: number;
  readonly dir: string;
  /** Stops it if it runs, and removes its folder. */
  stop(): Promise<void>;
  kill9(): Promise<void>;
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>;
  /** SIGSTOP. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const dir = await mkdtemp(join(tmpdir(), "aegis-redis-"));
  const port = options.port ?? (await freePort());
  let child = await launch(dir, port, options);
  const ended = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    get pid() {
      return child.pid as number;
    },
    async stop() {
      // A paused process would not hear anything else.
      await ended("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
    kill9: () => ended("SIGKILL"),
    async restart() {
      await ended("SIGKILL");
      child = await launch(dir, port, options);
    },
    pause() {
      child.kill("SIGSTOP");
    },
    resume() {
      child.kill("SIGCONT");
    },
  };
}

async function launch(dir: string, port: number, options: RedisServerOptions): Promise<ChildProcess> {
  const settings = {
    port: String(port),
    bind: "127.0.0.1",
    dir,
    save: "",
    appendonly: "yes",
    appendfsync: options.appendfsync ?? "always",
    "maxmemory-policy": "noeviction",
    loglevel: "warning",
    daemonize: "no",
  };
  const { busPort } = options;
  // Redis' own choice, 10,000 above the other, is no port for half of the free ones.
  const cluster = busPort === undefined ? {} : { "cluster-enabled": "yes", "cluster-port": String(busPort) };
  const args = Object.entries({ ...settings, ...cluster }).flatMap(([name, value]) => [`--${name}`, value]);
  return launchRedis(port, [...args, ...(options.args ?? [])], options.wrapper);
}

/** Starts redis-server with these words, and resolves when it answers on the port. */
export async function launchRedis(
  port: number,
  args: readonly string[],
  wrapper: readonly string[] = [],
): Promise<ChildProcess> {
  // The kernel ends it with us even where our own handlers do not run: after a kill -9 of the test.
  const bound = process.platform === "linux" ? ["setpriv", "--pdeathsig", "KILL"] : [];
  const [command, ...rest] = [...bound, ...wrapper, "redis-server", ...args] as [string, ...string[]];
  const child = spawn(command, rest, { stdio: "ignore" });
  const reap = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", reap);
  child.once("exit", () => process.off("exit", reap));
  await answering(child, port);
  return child;
}

/** Resolves at the first PONG, which Redis gives only when its data is loaded. */
async function answering(child: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`redis-server ended with code ${child.exitCode}`);
    if (await pings(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill("SIGKILL");
  throw new Error("redis-server does not answer");
}

function pings(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(500, () => end(false));
    socket.once("error", () => end(false));
    socket.once("connect", () => socket.write("PING\r\n"));
    // A server that wants a password answers too.
    socket.once("data", (data) => end(/^(\+PONG|-NOAUTH)/.test(data.toString())));
  });
}

/** One command over a connection of its own; answers what Redis said, in its protocol's text. */
export async function redisCommand(port: number, words: readonly string[], password?: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    if (password !== undefined) await exchange(socket, ["AUTH", password]);
    return await exchange(socket, words);
  } finally {
    socket.destroy();
  }
}

/** Resolves when the replica has all that its primary has acknowledged. */
export async function replicated(primaryPort: number, replicaPort: number, password?: string): Promise<void> {
  const offset = async (name: string, port: number): Promise<number> => {
    const info = await redisCommand(port, ["INFO", "replication"], password);
    return Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
  };
  // WAIT would speak of the asking connection's own writes alone.
  const written = await offset("master_repl_offset", primaryPort);
  const deadline = performance.now() + 20_000;
  while (!((await offset("slave_repl_offset", replicaPort)) >= written)) {
    if (performance.now() > deadline) throw new Error("the replica did not catch up");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function exchange(socket: Socket, words: readonly string[]): Promise<string> {
  const request = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
  socket.write(`*${words.length}\r\n${request}`);
  const [answer] = (await once(socket, "data")) as [Buffer];
  const text = answer.toString();
  if (text.startsWith("-")) throw new Error(text.trim());
  return text;
}
