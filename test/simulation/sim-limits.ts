// The limits that simulated nodes run with: the server's defaults, and what keeps a run short.
import type { Limits } from "../../src/config.ts";
import { loadConfig } from "../../src/load-config.ts";

export const SIM_LIMITS: Limits = {
  ...defaultLimits(),
  storeTimeoutMs: 3_000,
  // Long enough for what the end of a run looks at.
  drainMs: 2_000,
  passivateAfterMs: 4_000,
};

function defaultLimits(): Limits {
  const loaded = loadConfig({ flags: [], environment: {}, readFile: () => "{}" });
  if (loaded.kind !== "config") throw new Error("the defaults are no configuration");
  return loaded.config.limits;
}
