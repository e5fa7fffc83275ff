// docs/CAPACITY.md says what docs/BENCHMARKS.md and its own formulas make it say. AEGIS_UPDATE_DOCS=1 writes its figures
// anew; its words are for whoever reads what came of it.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { SERVER_SETTINGS } from "../../src/config.ts";
import { LIMIT_SETTINGS } from "../../src/limit-settings.ts";
import { settingMeanings } from "../../src/protocol/schemas/application.ts";
import { recomputed, unaligned } from "../support/capacity-page.ts";

const docs = path.resolve(import.meta.dirname, "../../docs");
const pagePath = path.join(docs, "CAPACITY.md");
const benchmarks = readFileSync(path.join(docs, "BENCHMARKS.md"), "utf8");

if (process.env["AEGIS_UPDATE_DOCS"] === "1") {
  writeFileSync(pagePath, recomputed(readFileSync(pagePath, "utf8"), benchmarks));
}
const page = readFileSync(pagePath, "utf8");

it("has the figures that the benchmarks and its formulas give", () => {
  expect(unaligned(page)).toBe(unaligned(recomputed(page, benchmarks)));
  expect(page.match(/^\| `\w+`/gm)?.length).toBeGreaterThan(30);
});

it("notices a figure that was changed, measured or computed", () => {
  for (const name of ["commitNodeMicros", "nodes"]) {
    const drifted = page.replace(new RegExp(`^(\\| \`${name}\`.*\\| +)([\\d,.]+)( +\\|)`, "m"), "$199,999,999$3");
    expect(drifted).not.toBe(page);
    expect(unaligned(recomputed(drifted, benchmarks))).not.toBe(unaligned(drifted));
  }
});

it("names settings that there are", () => {
  const there = [SERVER_SETTINGS, LIMIT_SETTINGS, settingMeanings].flatMap((settings) => Object.keys(settings));
  const [, moves = ""] = page.split("## What moves it");
  const named = [...moves.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name as string);
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !there.includes(name))).toEqual([]);
});
