// Where other nodes reach this one, when nobody says so. Asks the machine, never the network.
import { networkInterfaces } from "node:os";

interface Listening {
  readonly host: string;
  /** What the operator says, as `host:port`. */
  readonly advertise?: string | undefined;
}

/** A node that listens on every interface is reached by the first that leads out of the machine. */
export function advertisedAddress({ advertise, host }: Listening, port: number): string {
  if (advertise !== undefined) return advertise;
  if (host !== "0.0.0.0" && host !== "::") return `${host}:${String(port)}`;
  const outward = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === "IPv4");
  return `${outward?.address ?? "127.0.0.1"}:${String(port)}`;
}
