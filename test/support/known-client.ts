// Connects to a server that may have said a key before it knows it: a build that is broken on purpose does so.
import { setTimeout as delay } from "node:timers/promises";
import { AegisError, connect, type AegisClient, type ConnectOptions } from "../../src/client/client.ts";

const KNOWN_WITHIN_MS = 5000;

export async function connectOnceKnown(options: ConnectOptions): Promise<AegisClient> {
  const until = performance.now() + KNOWN_WITHIN_MS;
  for (;;) {
    try {
      return await connect(options);
    } catch (error) {
      const unknown = error instanceof AegisError && error.reason === "KEY_UNKNOWN";
      if (!unknown || performance.now() > until) throw error;
    }
    await delay(20);
  }
}
