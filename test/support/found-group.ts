// A group in `ordering` tracking, founded by a member of whom the back-end knows nothing else: the cheapest there is.
import { randomUUID } from "node:crypto";
import type { AegisClient } from "../../src/client/client.ts";
import { SyntheticGroup } from "./synthetic-group.ts";

/** One member founds them all: only their ids differ. */
const founder = SyntheticGroup.create(1, { epoch: 0n });

/** @returns the group's id */
export async function foundGroup(client: AegisClient): Promise<Uint8Array> {
  const groupId = Buffer.from(randomUUID());
  const groupInfo = founder.groupInfoMessage({ context: { groupId } });
  await client.group.create({ groupInfo, tracking: "ordering", settings: { externalJoin: "none" } });
  return groupId;
}
