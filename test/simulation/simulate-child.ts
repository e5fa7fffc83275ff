// What `npm run simulate` runs: seed after seed until one breaks a promise, and how fast it went.
import { parseArgs } from "node:util";
import { simulate, type RunProfile, type RunResult } from "./run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    /** From one seed to the next: others take those between. */
    stride: { type: "string", default: "1" },
    seed: { type: "string" },
    sabotage: { type: "string", multiple: true, default: [] },
    /** Of the load and the faults, as JSON (RunProfile). */
    profile: { type: "string", default: "{}" },
    "keep-going": { type: "boolean", default: false },
  },
});

const VIOLATIONS_SHOWN = 20;
const sabotage = new Set(values.sabotage);
const profile = JSON.parse(values.profile) as RunProfile;

if (values.seed !== undefined) {
  const result = await simulate({ seed: Number(values.seed), sabotage, profile, trace: (line) => console.log(line) });
  tell(result);
  process.exit(result.violations.length === 0 ? 0 : 1);
}

const total = { runs: 0, failed: 0, operations: 0, done: 0, unknown: 0, events: 0, simulatedMs: 0 };
const began = performance.now();
const cpu = process.cpuUsage();
for (let seed = Number(values.from); total.runs < Number(values.seeds); seed += Number(values.stride)) {
  const result = await simulate({ seed, sabotage, profile });
  total.runs += 1;
  for (const name of ["operations", "done", "unknown", "events", "simulatedMs"] as const) total[name] += result[name];
  if (result.violations.length > 0) {
    total.failed += 1;
    tell(result);
    if (!values["keep-going"]) break;
  }
  await new Promise((resolve) => setImmediate(resolve));
}
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ ...total, simulatedMs: Math.round(total.simulatedMs) }));
console.log(
  `${(total.runs / ((performance.now() - began) / 1000)).toFixed(2)} runs/s, ` +
    `${((user + system) / 1000 / total.runs).toFixed(0)} CPU-ms a run`,
);
process.exit(total.failed === 0 ? 0 : 1);

function tell({ seed, violations, faults, digest }: RunResult): void {
  console.log(`seed ${seed}: ${violations.length === 0 ? "kept" : "BROKEN"}, digest ${digest.slice(0, 16)}`);
  for (const fault of faults) console.log(`  fault: ${fault}`);
  for (const violation of violations.slice(0, VIOLATIONS_SHOWN)) console.log(`  ${violation}`);
  if (violations.length > VIOLATIONS_SHOWN) console.log(`  and ${violations.length - VIOLATIONS_SHOWN} more`);
  if (violations.length > 0) console.log(`  again, with every step: npm run simulate -- --seed ${seed}`);
}
