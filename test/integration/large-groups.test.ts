// Groups whose trees are judged on a worker thread, over the wire (PROTOCOL M9): created, refused under the rule that
// is broken, followed from there.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { hexOf } from "../support/devices.ts";
import { SyntheticGroup } from "../support/synthetic-group.ts";

const SIZE = 600;

let world: AppWorld;
let app: TestApplication;
let large: SyntheticGroup;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application({ strangers: true, externalJoin: "none" });
  large = SyntheticGroup.create(SIZE, { historyEvery: 2 });
});
afterAll(() => world.stop());

describe.each(["full", "ordering"] as const)("[M9] a group of 600 in %s tracking", (tracking) => {
  test("is created and gives its tree back", async () => {
    const { client } = await world.application({ strangers: true });
    const { ratchetTree } = large.group.snapshot();
    await client.group.create({ groupInfo: large.groupInfoMessage(), ratchetTree, tracking });
    const { groupId } = large.group;
    const got = await client.group.get({ groupId });
    expect(got).toMatchObject({ members: SIZE, treeBytes: ratchetTree.length, tracking });
    expect(hexOf((await client.group.tree({ groupId })).ratchetTree)).toBe(hexOf(ratchetTree));
  });

  test("is refused with a tree or a GroupInfo that is spoilt", async () => {
    const { ratchetTree } = large.group.snapshot();
    const cut = ratchetTree.slice(0, -1);
    const create = (params: { groupInfo?: Uint8Array; ratchetTree?: Uint8Array }) =>
      refusal(app.client.group.create({ groupInfo: large.groupInfoMessage(), ratchetTree, tracking, ...params }));
    expect(await create({ ratchetTree: cut })).toMatchObject({
      reason: "TREE_INVALID",
      details: { rule: "MALFORMED" },
    });
    const other = large.groupInfoMessage({ context: { treeHash: new Uint8Array(32) } });
    expect(await create({ groupInfo: other })).toMatchObject({
      reason: "TREE_INVALID",
      details: { rule: "TREE_HASH" },
    });
    const forged = large.groupInfoMessage({ signWith: large.member(1) });
    expect(await create({ groupInfo: forged })).toMatchObject({
      reason: "GROUP_INFO_INVALID",
      details: { rule: "GROUP_INFO_SIGNATURE" },
    });
  });
});

test("[M9] what only a joiner's look at the whole tree shows is refused in `full` tracking", async () => {
  const demanding = SyntheticGroup.create(SIZE, {
    historyEvery: 2,
    extensions: [{ type: 0xf0f0, data: new Uint8Array(0) }],
  });
  const params = { groupInfo: demanding.groupInfoMessage(), ratchetTree: demanding.group.snapshot().ratchetTree };
  const error = await refusal(app.client.group.create({ ...params, tracking: "full" }));
  expect(error).toMatchObject({ reason: "TREE_INVALID", details: { rule: "CONTEXT_EXTENSION_SUPPORT" } });
});

test("[M9] a group judged on a worker thread is followed like any other", async () => {
  const { ratchetTree } = large.group.snapshot();
  await app.client.group.create({ groupInfo: large.groupInfoMessage(), ratchetTree, tracking: "full" });
  const { groupId } = large.group;
  const { message } = large.commit({ committer: 7 });
  expect(await app.client.group.commit({ groupId, commit: message })).toMatchObject({ epoch: large.group.epoch + 1n });
});
