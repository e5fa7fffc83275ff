// Named ways to break the store on purpose, so that its tests can prove that they would notice
// (GUARANTEES, "A checker that can't fail proves nothing"). Never reachable from configuration.

export type SabotageSwitch = "fenceOff" | "fenceGreaterOrEqual" | "sequenceOff" | "receiptsNotStored" | "syncOff";

export type SabotageSwitches = ReadonlySet<SabotageSwitch>;

export const NO_SABOTAGE: SabotageSwitches = new Set();
