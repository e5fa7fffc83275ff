// The long form: random faults under a recorded load. In CI a cut of it; `npm run chaos -- --soak MINUTES` runs it at
// any length, and with `--write` puts its figures into docs/RELIABILITY.md.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { format } from "prettier";
import { randomFrom, seedOf } from "../support/seed.ts";
import { soak } from "../support/soak.ts";
import { reliabilityDocument, soakTable } from "../support/soak-document.ts";

const minutes = Number(process.env["AEGIS_SOAK_MINUTES"] ?? 0.5);
const page = path.join(import.meta.dirname, "../../docs/RELIABILITY.md");
/** What the last fault and the judges may take beyond. */
const restMs = 600_000;

test(
  `[G1] [G2] [G3] [G4] [G5] [G6] [G7] ${String(minutes)} minutes of random faults: nothing is lost, doubled or out of order, and it heals`,
  async () => {
    const seed = seedOf("soak");
    const isLong = minutes >= 1;
    const report = await soak({
      durationMs: minutes * 60_000,
      seed,
      random: randomFrom(seed),
      ...(isLong ? { workers: 120, sessions: 12, calmMsMax: 10_000 } : { workers: 18, sessions: 3, calmMsMax: 2_000 }),
      log: (line) => isLong && process.stdout.write(`${line}\n`),
    });
    console.log(soakTable(report));
    expect(report.answered).toBeGreaterThan(0);
    if (process.env["AEGIS_SOAK_WRITE"] !== "1") return;
    const text = reliabilityDocument(report, `npm run chaos -- --soak ${String(minutes)} --write`);
    writeFileSync(page, await format(text, { parser: "markdown", printWidth: 120 }));
  },
  minutes * 60_000 + restMs,
);
