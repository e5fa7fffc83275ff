// `aegis shards`: who owns each shard, under which fence, and who should.
import { shardsOverview, type ShardsOverview } from "../protocol/schemas/operator-pages.ts";
import type { AdminPort } from "./admin-port.ts";
import { textTable } from "./text-table.ts";

/** @throws AdminRefused */
export function readShards(admin: AdminPort): Promise<ShardsOverview> {
  return admin.get("/v1/shards", shardsOverview);
}

export function shardsTable({ shards }: ShardsOverview): string {
  const rows = shards.map((one) => [
    String(one.shard),
    one.fence === undefined ? "-" : String(one.fence),
    one.owner ?? "-",
    one.address ?? "-",
    stateOf(one),
  ]);
  return textTable([["SHARD", "FENCE", "OWNER", "ADDRESS", "STATE"], ...rows]);
}

function stateOf({ owner, ownerIsMember, placedOn }: ShardsOverview["shards"][number]): string {
  if (!ownerIsMember) return "without an owner";
  return owner === placedOn ? "at its place" : `moves to ${placedOn ?? "nobody"}`;
}
