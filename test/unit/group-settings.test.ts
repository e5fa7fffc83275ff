import { expect, it } from "vitest";
import { effective, widened } from "../../src/actors/group-settings.ts";
import type { GroupSettings } from "../../src/protocol/schemas/application.ts";
import { SETTINGS } from "../support/actor-commands.ts";

const application = {
  ...SETTINGS,
  externalJoin: "members" as const,
  enforceProposals: false,
  pastEpochs: 3,
  groupMembersMax: 100,
  groupRetention: { ms: 1000, events: 10, bytes: 100 },
};
const narrow: Required<GroupSettings> = {
  externalJoin: "none",
  enforceProposals: true,
  pastEpochs: 1,
  groupMembersMax: 10,
  groupRetention: { ms: 500, events: 5, bytes: 50 },
};

it("a group without settings of its own is governed by its application's", () => {
  const { externalJoin, enforceProposals, pastEpochs, groupMembersMax, groupRetention } = application;
  const governed = { externalJoin, enforceProposals, pastEpochs, groupMembersMax, groupRetention };
  expect(effective(application, {})).toEqual(governed);
  expect(widened(application, {})).toBeUndefined();
});

it("a group's own settings narrow", () => {
  expect(effective(application, narrow)).toEqual(narrow);
  expect(widened(application, narrow)).toBeUndefined();
  // The application is stricter by now: what the group said once counts no more.
  expect(effective({ ...application, enforceProposals: true }, { enforceProposals: false }).enforceProposals).toBe(
    true,
  );
});

const wide: GroupSettings = {
  externalJoin: "open",
  pastEpochs: 4,
  groupMembersMax: 101,
  groupRetention: { ms: 1001, events: 10, bytes: 100 },
};

for (const name of Object.keys(wide) as (keyof typeof wide)[]) {
  it(`${name} can't be widened, and counts as the application's if it has become wider`, () => {
    const own = { [name]: wide[name] } as GroupSettings;
    expect(widened(application, own)).toBe(name);
    expect(effective(application, own)[name]).toEqual(application[name]);
  });
}

it("a group narrows one of its retention's limits and leaves the others as its application has them", () => {
  const own = { groupRetention: { events: 5 } };
  expect(widened(application, own)).toBeUndefined();
  expect(effective(application, own).groupRetention).toEqual({ ms: 1000, events: 5, bytes: 100 });
  expect(widened(application, { groupRetention: { bytes: 101 } })).toBe("groupRetention");
});

it("enforceProposals can't be switched off where the application wants it", () => {
  expect(widened({ ...application, enforceProposals: true }, { enforceProposals: false })).toBe("enforceProposals");
});
