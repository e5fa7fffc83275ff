// `aegis drain NODE`: has a node hand its shards over, send its sessions elsewhere and end, and waits until it has gone.
import { setTimeout as delay } from "node:timers/promises";
import type { NodesOverview } from "../protocol/schemas/operator-pages.ts";
import { AdminRefused, type AdminPort } from "./admin-port.ts";
import { readNodes } from "./nodes.ts";

export interface Drained {
  readonly nodeId: string;
  /** False: it was asked, and is still there. */
  readonly gone: boolean;
}

const LOOK_MS = 250;
const PREFIX_MIN = 4;

/** @param node its id, the beginning of its id, or its address @throws AdminRefused */
export async function drain(admin: AdminPort, node: string, waitMs: number): Promise<Drained> {
  const overview = await readNodes(admin);
  const nodeId = nodeIdOf(overview, node);
  await admin.post(`/v1/nodes/${nodeId}/drain`);
  const until = performance.now() + waitMs;
  while (performance.now() < until) {
    if (await isGone(admin, nodeId, overview.answeredBy === nodeId)) return { nodeId, gone: true };
    await delay(LOOK_MS);
  }
  return { nodeId, gone: false };
}

function nodeIdOf({ nodes }: NodesOverview, node: string): string {
  const fits = nodes.filter(
    ({ nodeId, address }) =>
      nodeId === node || address === node || (node.length >= PREFIX_MIN && nodeId.startsWith(node)),
  );
  const [found, ...more] = fits;
  if (found === undefined) throw new AdminRefused(`there is no node ${node}; "aegis nodes" lists them`);
  if (more.length > 0) throw new AdminRefused(`${node} may be any of ${String(fits.length)} nodes: say more of its id`);
  return found.nodeId;
}

async function isGone(admin: AdminPort, nodeId: string, isAsked: boolean): Promise<boolean> {
  try {
    return !(await readNodes(admin)).nodes.some((node) => node.nodeId === nodeId);
  } catch (error) {
    if (!(error instanceof AdminRefused)) throw error;
    // A node that drains itself answers until it ends, and is cut off in the middle of its last answer perhaps.
    if (isAsked) return error.cause === "ECONNREFUSED";
    if (error.cause === 503) return false;
    throw error;
  }
}
