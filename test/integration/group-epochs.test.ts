// Where a group's log goes on for a member of some epoch, over the wire (PROTOCOL §3, `after: {epoch}`).
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AppWorld, type TestApplication } from "../support/app-world.ts";
import { opaqueMessage } from "../support/opaque-messages.ts";
import { SyntheticGroup } from "../support/synthetic-group.ts";

/** For so long marks of epochs are kept; the log itself stays until something new is put into it. */
const RETENTION_MS = 2_000;
const FIRST = 5n;

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application({ groupRetention: { ms: RETENTION_MS } });
});
afterAll(() => world.stop());

/** A group that was created in epoch 5 and went on to 7: a commit is event 2, another event 4, messages stand between. */
async function grown(): Promise<Uint8Array> {
  const groupId = Buffer.from(randomUUID());
  const founder = SyntheticGroup.create(1, { epoch: FIRST });
  const groupInfo = founder.groupInfoMessage({ context: { groupId } });
  await app.client.group.create({ groupInfo, tracking: "ordering", settings: { externalJoin: "none" } });
  for (const epoch of [FIRST, FIRST + 1n]) {
    await app.client.group.send({ groupId, message: opaqueMessage(groupId, epoch, "application") });
    await app.client.group.commit({ groupId, commit: opaqueMessage(groupId, epoch, "commit") });
  }
  await app.client.group.send({ groupId, message: opaqueMessage(groupId, FIRST + 2n, "application") });
  return groupId;
}

async function readAfter(id: Uint8Array, epoch: bigint) {
  const { events, recovered, reason } = await app.client.stream.read({ kind: "group", id, after: { epoch } });
  return [recovered ? "recovered" : reason, ...events.map(([offset]) => offset)];
}

test("[S3] [G5] a member goes on after its epoch's commit, or is told that the log does not go back so far", async () => {
  const id = await grown();
  expect(await readAfter(id, 7n)).toEqual(["recovered", 5]);
  expect(await readAfter(id, 6n)).toEqual(["recovered", 3, 4, 5]);
  expect(await readAfter(id, FIRST)).toEqual(["recovered", 1, 2, 3, 4, 5]);
  // The commits that led up to the first epoch were never here.
  expect(await readAfter(id, 4n)).toEqual(["TRIMMED", 1, 2, 3, 4, 5]);
  expect(await readAfter(id, 0n)).toEqual(["TRIMMED", 1, 2, 3, 4, 5]);
});

test("[S3] [G3] a group that rested for longer than its retention still knows where its epochs began", async () => {
  const id = await grown();
  const { events } = await app.client.stream.read({ kind: "group", id });
  await delay(RETENTION_MS + 300);
  expect(await readAfter(id, 7n)).toEqual(["recovered", 5]);
  expect(await readAfter(id, 6n)).toEqual(["recovered", 3, 4, 5]);
  expect(await readAfter(id, FIRST)).toEqual(["recovered", 1, 2, 3, 4, 5]);
  expect(await readAfter(id, 4n)).toEqual(["TRIMMED", 1, 2, 3, 4, 5]);
  const { message } = events[3]?.[3] as { message: Uint8Array };
  const again = await app.client.group.commit({ groupId: id, commit: message });
  expect(again).toMatchObject({ epoch: 7n, position: { offset: 4 } });
});
