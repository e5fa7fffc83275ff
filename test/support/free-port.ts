// A TCP port on loopback that was free a moment ago: below those that outgoing connections are given, so that none of
// them takes it meanwhile, nor while its server is down between two starts.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const FROM = 12_000;
const TO = 32_000;

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = randomInt(FROM, TO);
    if (await canListen(port)) return port;
  }
  throw new Error("no free TCP port");
}

async function canListen(port: number): Promise<boolean> {
  const probe = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (listens) await new Promise<void>((resolve) => probe.close(() => resolve()));
  return listens;
}
