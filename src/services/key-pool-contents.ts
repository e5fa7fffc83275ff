// What a pool holds, read from the store on whichever node was asked (L3). Decides nothing.
import type { ActorAddress } from "../actors/actor-port.ts";
import { labelFromHex, usableIn } from "../actors/key-pool-queues.ts";
import type { Store } from "../store/store.ts";
import { placeOf, type ServicePorts } from "./service-ports.ts";

const PACKAGES_READ_MAX = 10_000;

interface QueueStatus {
  readonly ciphersuite: number;
  readonly label: string;
  available: number;
  lastResort: boolean;
  soonestNotAfter?: number;
}

/** Names of all packages, last resorts behind the others. */
export async function packageNames(store: Store, pool: ActorAddress): Promise<readonly string[]> {
  const { shard, actor } = placeOf(store, pool);
  const lists = await Promise.all(
    ["once/", "last/"].map((prefix) =>
      store.listParts(shard, actor, { prefix, limit: PACKAGES_READ_MAX, namesOnly: true }),
    ),
  );
  return lists.flat().map(({ name }) => name);
}

/** Every queue that still has something to hand out. */
export async function queuesOf(
  { store, clock }: Pick<ServicePorts, "store" | "clock">,
  pool: ActorAddress,
): Promise<QueueStatus[]> {
  const names = await packageNames(store, pool);
  const queues = new Map<string, QueueStatus>();
  for (const { name, ciphersuite, labelHex, notAfter } of usableIn(names, clock.now())) {
    const id = `${String(ciphersuite)}/${labelHex}`;
    const queue = queues.get(id) ?? { ciphersuite, label: labelFromHex(labelHex), available: 0, lastResort: false };
    queues.set(id, queue);
    if (isLastResort(name)) {
      queue.lastResort = true;
      continue;
    }
    queue.available += 1;
    queue.soonestNotAfter = Math.min(queue.soonestNotAfter ?? Infinity, notAfter);
  }
  return [...queues.values()];
}

export function isLastResort(name: string): boolean {
  return name.startsWith("last/");
}
