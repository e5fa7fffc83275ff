// Fixtures for tests of the SDK: a scripted server and clients of it, closed when the test ends.
import { expect, test as plainTest } from "vitest";
import { AegisError, connect, type AegisClient, type ConnectOptions } from "../../src/client/client.ts";
import { ScriptedServer } from "./scripted-server.ts";

interface Fixtures {
  readonly server: ScriptedServer;
  /** Connects one more client to `server`. */
  readonly connected: (options?: Partial<ConnectOptions>) => Promise<AegisClient>;
}

export const test = plainTest.extend<Fixtures>({
  server: async ({}, use) => {
    const server = await ScriptedServer.start();
    await use(server);
    await server.stop();
  },
  connected: async ({ server }, use) => {
    const clients: AegisClient[] = [];
    await use(async (options = {}) => {
      const client = await connect({ url: server.url, token: "aegis_k_s", ...options });
      clients.push(client);
      return client;
    });
    await Promise.all(clients.map((client) => client.close()));
  },
});

/** The AegisError with which a promise must reject. */
export async function failure(promise: Promise<unknown>): Promise<AegisError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AegisError);
  return error as AegisError;
}
