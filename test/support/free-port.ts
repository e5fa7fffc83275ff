// A TCP port on loopback that was free a moment ago. Another process may still take it first.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

export async function freePort(): Promise<number> {
  const port = await listened(0);
  if (port === undefined) throw new Error("no free TCP port");
  return port;
}

/** Below those that outgoing connections are given, which may take any other meanwhile: for whoever wants many. */
const QUIET_FROM = 12_000;
const QUIET_TO = 32_000;

export async function quietPort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = await listened(randomInt(QUIET_FROM, QUIET_TO));
    if (port !== undefined) return port;
  }
  throw new Error("no free TCP port");
}

/** @returns the port, when it could be listened on */
async function listened(wanted: number): Promise<number | undefined> {
  const probe = createServer();
  const port = await new Promise<number | undefined>((resolve) => {
    probe.once("error", () => resolve(undefined));
    probe.listen(wanted, "127.0.0.1", () => {
      const address = probe.address();
      resolve(address === null || typeof address === "string" ? undefined : address.port);
    });
  });
  if (port !== undefined) await new Promise<void>((resolve) => probe.close(() => resolve()));
  return port;
}
