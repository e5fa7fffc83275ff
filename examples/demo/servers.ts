// The servers that the demo plays on: one or several nodes of its own, or a deployment that runs already.
import { randomBytes } from "node:crypto";
import { ServerProcess } from "../../test/support/server-process.ts";

export interface Servers {
  readonly urls: readonly string[];
  readonly operatorToken: string;
  /** The end of what the servers wrote. */
  readonly output: string;
  /** Undefined: they are not the demo's to kill. */
  readonly victims?: Victims;
  dispose(): Promise<void>;
}

export interface Victims {
  readonly count: number;
  /** Resolves with what kills (kill -9) the node with this id, at once. */
  aimAt(nodeId: string): Promise<() => Promise<void>>;
  /** Starts it again. */
  restart(): Promise<void>;
}

export function runningServers(url: string, operatorToken: string): Servers {
  return { urls: [url], operatorToken, output: "", dispose: () => Promise.resolve() };
}

/** @param redisUrl without it the embedded store, which is for one node alone */
export async function startServers(redisUrl: string | undefined, nodes: number): Promise<Servers> {
  const env = {
    AEGIS_PREFIX: `demo-${randomBytes(4).toString("hex")}`,
    AEGIS_OPERATOR_KEY: `aegis_operator_${randomBytes(32).toString("hex")}`,
    AEGIS_SECRET: randomBytes(32).toString("hex"),
  };
  const started: ServerProcess[] = [];
  const dispose = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.dispose()));
  };
  try {
    for (let n = 0; n < nodes; n += 1) started.push(await ServerProcess.start(redisUrl ? { redisUrl, env } : {}));
  } catch (error) {
    await dispose();
    throw error;
  }
  const operatorToken = started[0]?.operatorToken ?? "";
  return {
    urls: started.map(({ url }) => url),
    operatorToken,
    get output() {
      return started.map(({ output }) => output).join("\n");
    },
    victims: victimsOf(started, operatorToken),
    dispose,
  };
}

function victimsOf(servers: readonly ServerProcess[], operatorToken: string): Victims {
  const killed: ServerProcess[] = [];
  return {
    count: servers.length,
    async aimAt(nodeId) {
      const ids = await Promise.all(servers.map((server) => nodeIdOf(server, operatorToken)));
      const server = servers[ids.indexOf(nodeId)];
      if (server === undefined) throw new Error(`no server here is node ${nodeId}`);
      return async () => {
        await server.kill9();
        killed.push(server);
      };
    },
    async restart() {
      for (const server of killed.splice(0)) await server.restart();
    },
  };
}

/** A node has a fresh id at each start, and says it to the operator. */
async function nodeIdOf({ adminUrl }: ServerProcess, operatorToken: string): Promise<string> {
  const answer = await fetch(`${adminUrl}/v1/nodes`, { headers: { authorization: `Bearer ${operatorToken}` } });
  return ((await answer.json()) as { answeredBy: string }).answeredBy;
}
