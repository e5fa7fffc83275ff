// Idempotency keys of commits over the wire (E4): what was applied is answered again, whatever has become of the group.
import { afterAll, beforeAll, expect, test } from "vitest";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice } from "../support/devices.ts";
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
