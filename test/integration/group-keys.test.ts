// Idempotency keys of groups over the wire (E4): what was applied is answered again, whatever has become of the group or
// of what its application allows.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice } from "../support/devices.ts";
import { MlsClient } from "../support/mls-client.ts";
import { Member, type CommitParams } from "../support/members.ts";

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application();
});
afterAll(() => world.stop());

test.each(["ordering", "full"] as const)(
  "[E4] a commit's key repeats its answer, refuses other params, and outlives the group, %s",
  async (tracking) => {
    const device = await createDevice(app.client, `committer-${tracking}`);
    const member = await Member.create(app.client, device, { tracking });
    const { groupId } = member;
    const [first, second] = [await member.group.commit(), await member.group.commit()];
    const params: CommitParams = member.params(first);
    const options = { key: "commit" };
    const applied = await app.client.group.commit(params, options);
    expect(applied).toMatchObject({ epoch: 1n, position: { offset: 1 } });
    const other = await refusal(app.client.group.commit(member.params(second), options));
    expect(other).toMatchObject({ code: "ALREADY_EXISTS", reason: "KEY_REUSED" });
    const elsewhere = { ...params, as: "00000000-0000-4000-8000-000000000000" };
    expect((await refusal(app.client.group.commit(elsewhere, options))).reason).toBe("KEY_REUSED");
    expect((await refusal(app.client.group.commit(member.params(second)))).reason).toBe("EPOCH_CONFLICT");
    expect(await app.client.group.commit(params, options)).toEqual(applied);
    await app.client.group.delete({ groupId });
    expect(await app.client.group.commit(params, options)).toEqual(applied);
    expect((await refusal(app.client.group.commit(params))).reason).toBe("GROUP_NOT_FOUND");
  },
);

test.each(["ordering", "full"] as const)(
  "[E4] a commit's key repeats the Welcomes that came back with its answer although the group is gone, %s",
  async (tracking) => {
    const { client } = await world.application({ strangers: true });
    const member = await Member.create(client, await createDevice(client, "committer"), { tracking });
    const nobody = await MlsClient.create({ identity: "nobody" });
    const { message, ref } = await nobody.createKeyPackage();
    const params = member.params(await member.group.commit({ add: [message] }));
    const options = { key: "commit" };
    const applied = await client.group.commit(params, options);
    expect(applied.undelivered).toMatchObject([{ keyPackageRef: ref }]);
    await client.group.delete({ groupId: member.groupId });
    expect(await client.group.commit(params, options)).toEqual(applied);
  },
);

test("[E4] a create's key repeats its answer although the application has narrowed what it allows", async () => {
  const narrowed = await world.application();
  const { applicationId, client } = narrowed;
  const { mls } = await createDevice(client, "founder");
  const group = await mls.createGroup(Uint8Array.from(randomBytes(16)));
  const settings = { pastEpochs: 1 };
  const params = { groupInfo: await group.groupInfo(), ratchetTree: group.ratchetTree(), settings };
  const options = { key: "create" };
  const applied = await client.group.create(params, options);
  await world.operator.application.update({ applicationId, settings: { pastEpochs: 0, ciphersuites: [2] } });
  expect((await refusal(client.group.create(params))).reason).toBe("SETTING_WIDENED");
  const narrow = { ...params, settings: {} };
  expect((await refusal(client.group.create(narrow))).details).toMatchObject({ rule: "CIPHERSUITE" });
  expect(await client.group.create(params, options)).toEqual(applied);
  expect((await refusal(client.group.create(narrow, options))).reason).toBe("KEY_REUSED");
});

test.each(["ordering", "full"] as const)(
  "[E4] the key of a GroupInfo repeats its answer, refuses other params, and outlives the group, %s",
  async (tracking) => {
    const device = await createDevice(app.client, `putter-${tracking}`);
    const member = await Member.create(app.client, device, { tracking });
    const { groupId } = member;
    const params = { groupId, groupInfo: await member.group.groupInfo() };
    const options = { key: "put" };
    expect(await app.client.group.putGroupInfo(params, options)).toEqual({});
    const spoilt = { groupId, groupInfo: params.groupInfo.slice(0, -1) };
    expect((await refusal(app.client.group.putGroupInfo(spoilt, options))).reason).toBe("KEY_REUSED");
    expect((await refusal(app.client.group.putGroupInfo(spoilt))).reason).toBe("GROUP_INFO_INVALID");
    await app.client.group.delete({ groupId });
    expect(await app.client.group.putGroupInfo(params, options)).toEqual({});
    expect((await refusal(app.client.group.putGroupInfo(params))).reason).toBe("GROUP_NOT_FOUND");
  },
);
