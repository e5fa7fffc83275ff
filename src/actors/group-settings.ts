// The settings under which a group lives: the application's, narrowed by the group's own. Pure.
import type { GroupSettings, Settings } from "../protocol/schemas/application.ts";
import type { Retention } from "./stream-window.ts";

/** What of the application's settings a group is governed by; a fact of each command. */
export type GovernedBy = Pick<
  Settings,
  "externalJoin" | "enforceProposals" | "pastEpochs" | "groupMembersMax" | "groupRetention" | "inboxRetention"
>;

export interface EffectiveSettings {
  readonly externalJoin: "members" | "none" | "open";
  readonly enforceProposals: boolean;
  readonly pastEpochs: number;
  readonly groupMembersMax: number;
  readonly groupRetention: Retention;
}

const OPENNESS = { none: 0, members: 1, open: 2 } as const;

/** A group's setting that has become wider than the application's counts as the application's. */
export function effective(application: GovernedBy, own: GroupSettings): EffectiveSettings {
  const { groupRetention } = application;
  const externalJoin = own.externalJoin ?? application.externalJoin;
  return {
    externalJoin: OPENNESS[externalJoin] > OPENNESS[application.externalJoin] ? application.externalJoin : externalJoin,
    enforceProposals: application.enforceProposals || own.enforceProposals === true,
    pastEpochs: Math.min(application.pastEpochs, own.pastEpochs ?? Infinity),
    groupMembersMax: Math.min(application.groupMembersMax, own.groupMembersMax ?? Infinity),
    groupRetention: {
      ms: Math.min(groupRetention.ms, own.groupRetention?.ms ?? Infinity),
      events: Math.min(groupRetention.events, own.groupRetention?.events ?? Infinity),
      bytes: Math.min(groupRetention.bytes, own.groupRetention?.bytes ?? Infinity),
    },
  };
}

/** The first setting that is wider than the application's; undefined: none is. */
export function widened(application: GovernedBy, own: GroupSettings): keyof GroupSettings | undefined {
  const kept = effective(application, own);
  if (own.externalJoin !== undefined && own.externalJoin !== kept.externalJoin) return "externalJoin";
  if (own.enforceProposals !== undefined && own.enforceProposals !== kept.enforceProposals) return "enforceProposals";
  if (own.pastEpochs !== undefined && own.pastEpochs !== kept.pastEpochs) return "pastEpochs";
  if (own.groupMembersMax !== undefined && own.groupMembersMax !== kept.groupMembersMax) return "groupMembersMax";
  const { groupRetention } = kept;
  const { ms, events, bytes } = { ...groupRetention, ...own.groupRetention };
  if (ms !== groupRetention.ms || events !== groupRetention.events || bytes !== groupRetention.bytes) {
    return "groupRetention";
  }
  return undefined;
}
