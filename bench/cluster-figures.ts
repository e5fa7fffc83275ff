// All figures of one run on many nodes: what its section tells and its bars are held against. Types only.
import type { BatchFigures } from "./batch-run.ts";
import type { HealFigures, Move } from "./heal-run.ts";
import type { MixFigures } from "./mix-run.ts";

export interface ClusterFigures {
  readonly inFlight: number;
  readonly mix: readonly MixFigures[];
  readonly batches: readonly BatchFigures[];
  readonly heal: HealFigures | undefined;
  readonly moves: { readonly drain: Move; readonly join: Move };
  /** Redis's memory for each: a group as founded, with a client and its pool beside it; a message kept. */
  readonly laneBytes: number;
  readonly messageBytes: number;
}
