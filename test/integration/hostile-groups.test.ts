// [F22] hostile bytes for live groups over the wire: whatever is refused leaves the group's state as it was, and the
// server logs no bug; what is taken is what its sender vouched for.
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AegisError } from "../../src/client/client.ts";
import { readGroupMessage } from "../../src/mls/framing.ts";
import { encode } from "../../src/protocol/codec.ts";
import { AppWorld, type TestApplication } from "../support/app-world.ts";
import { createDevice } from "../support/devices.ts";
import { Member, type CommitParams } from "../support/members.ts";
import { mutate, overwrite, seededRandom } from "../support/mutations.ts";

const SEED = Number(process.env["AEGIS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** A fiftieth of what `mls-hostile-commits` makes: each goes through the whole server, twice looked at. */
const MUTANTS = Math.ceil(Number(process.env["AEGIS_MUTANTS"] ?? 8_000) / 50);
const LONGEST_MS = 3_600_000;

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application();
});
afterAll(() => world.stop());

let made = 0;

/** A group of three with a commit, a proposal and a GroupInfo that would be taken. */
async function live() {
  made += 1;
  const [one, two, three] = await Promise.all([0, 1, 2].map((n) => createDevice(app.client, `m${made}-${n}`)));
  if (one === undefined || two === undefined || three === undefined) throw new Error("no devices");
  const founder = await Member.create(app.client, one, { tracking: "full" });
  await founder.add([two]);
  const { message } = await three.mls.createKeyPackage();
  const params = founder.params(await founder.group.commit({ add: [message] }));
  const proposal = await founder.group.propose({ proposalType: "remove", remove: { removed: 1 } });
  return { groupId: founder.groupId, params, proposal, groupInfo: await founder.group.groupInfo() };
}

async function digestOf(groupId: Uint8Array): Promise<string> {
  const [state, tree, members] = await Promise.all([
    app.client.group.get({ groupId, include: ["groupInfo", "proposals", "settings"] }),
    app.client.group.tree({ groupId }),
    app.client.group.members({ groupId }),
  ]);
  return createHash("sha256")
    .update(encode([state, tree, members]))
    .digest("hex");
}

/** What the sender's signature covers. */
function signedPart(message: Uint8Array): string {
  const decoded = readGroupMessage(message);
  if (decoded.kind === "malformed" || decoded.value.wireFormat !== "public") throw new Error("taken, but not readable");
  return Buffer.from(decoded.value.content).toString("hex");
}

test(
  `refuses ${MUTANTS} mutants of commits, Welcomes, GroupInfos and proposals, the group the same after each`,
  async () => {
    console.log(`hostile-groups: AEGIS_SEED=${SEED}, ${MUTANTS} mutants`);
    const random = seededRandom(SEED);
    let group = await live();
    let digest = await digestOf(group.groupId);
    const reasons = new Map<string, number>();
    const damaged = (bytes: Uint8Array) => (random() < 0.4 ? mutate(bytes, random) : overwrite(bytes, random));
    for (let count = 0; count < MUTANTS; count++) {
      const { groupId, params } = group;
      const kinds: (() => Promise<unknown>)[] = [
        () => commitOf({ ...params, commit: damaged(params.commit) }),
        () => commitOf({ ...params, welcomes: (params.welcomes ?? []).map(damaged) }),
        () => commitOf({ ...params, groupInfo: damaged(params.groupInfo as Uint8Array) }),
        () => commitOf({ ...params, ratchetTree: damaged(params.ratchetTree as Uint8Array) }),
        () => app.client.group.putGroupInfo({ groupId, groupInfo: damaged(group.groupInfo) }),
        async () => {
          const proposal = damaged(group.proposal);
          const result = await app.client.group.propose({ groupId, proposal });
          expect(signedPart(proposal)).toBe(signedPart(group.proposal));
          return result;
        },
      ];
      const commitOf = async (changed: CommitParams) => {
        const result = await app.client.group.commit(changed);
        expect(signedPart(changed.commit)).toBe(signedPart(params.commit));
        return result;
      };
      try {
        await (kinds[count % kinds.length] as () => Promise<unknown>)();
        reasons.set("taken", (reasons.get("taken") ?? 0) + 1);
        group = await live();
        digest = await digestOf(group.groupId);
      } catch (error) {
        if (!(error instanceof AegisError)) throw error;
        reasons.set(error.reason, (reasons.get(error.reason) ?? 0) + 1);
        expect(error.retryable, error.reason).toBe(false);
        expect(await digestOf(groupId), error.reason).toBe(digest);
      }
    }
    console.log(`hostile-groups: ${JSON.stringify(Object.fromEntries(reasons))}`);
    for (const reason of ["COMMIT_INVALID", "GROUP_INFO_INVALID", "PROPOSAL_INVALID", "WELCOME_MISMATCH"]) {
      expect([...reasons.keys()]).toContain(reason);
    }
    expect(await app.client.group.commit(group.params)).toMatchObject({ epoch: 2n });
  },
  LONGEST_MS,
);
