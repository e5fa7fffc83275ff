// `aegis nodes`: who is in the cluster, as the asked node sees it.
import { nodesOverview, type NodesOverview } from "../protocol/schemas/operator-pages.ts";
import type { AdminPort } from "./admin-port.ts";
import { textTable } from "./text-table.ts";

/** @throws AdminRefused */
export function readNodes(admin: AdminPort): Promise<NodesOverview> {
  return admin.get("/v1/nodes", nodesOverview);
}

export function nodesTable({ answeredBy, shardCount, unowned, nodes }: NodesOverview): string {
  const rows = [...nodes]
    .sort((a, b) => (a.address < b.address ? -1 : 1))
    .map((node) => [
      node.nodeId,
      node.address,
      String(node.shards),
      stateOf(node),
      `${(node.silentMs / 1000).toFixed(1)} s ago`,
      node.nodeId === answeredBy ? "answers" : "",
    ]);
  const table = textTable([["NODE", "ADDRESS", "SHARDS", "STATE", "HEARTBEAT", ""], ...rows]);
  return `${table}\n${String(shardCount)} shards${unowned === 0 ? "" : `, ${String(unowned)} of them without an owner`}\n`;
}

function stateOf({ leaving, reachable }: NodesOverview["nodes"][number]): string {
  if (!reachable) return leaving ? "leaving, unreachable" : "unreachable";
  return leaving ? "leaving" : "up";
}
