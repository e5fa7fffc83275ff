// docs/MLS-CHECKS.md names every rule with its section and a test that names the rule. That each such test goes red
// without its rule is shown by scripts/rule-switches.mjs.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { RULES, type Rule } from "../../src/mls/rules.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/MLS-CHECKS.md"), "utf8");
const rows = new Map(
  [...page.matchAll(/^\|\s*`(\w+)`\s*\|\s*([\d.]+)\s*\|\s*(.+?)\s*\|\s*(.+?)\s*\|$/gm)].map(
    ([, rule, section, asks, tests]) => [
      rule,
      { section, asks, tests: [...String(tests).matchAll(/`([^`]+)`/g)].map(([, file]) => String(file)) },
    ],
  ),
);

interface OwnRule {
  readonly name: string;
  readonly section: string;
  readonly asks: string;
  readonly test: { readonly file: string; readonly title: string };
}

const root = join(import.meta.dirname, "../..");
const switches = JSON.parse(readFileSync(join(root, "test/support/rule-switches.json"), "utf8")) as OwnRule[];
const ownRows = new Map(
  [...page.matchAll(/^\| *`(\w+)` *\| *(M\d+) *\| *(.+?) *\| *`([^`]+)` *\|$/gm)].map(
    ([, rule, section, asks, file]) => [rule, [section, asks, file]],
  ),
);

describe("docs/MLS-CHECKS.md", () => {
  it.each(Object.keys(RULES) as Rule[])("tells of %s as it is, and where it is proved", (rule) => {
    const row = rows.get(rule);
    expect(row).toMatchObject({ section: RULES[rule].section, asks: RULES[rule].asks });
    expect(row?.tests.length).toBeGreaterThan(0);
    for (const file of row?.tests ?? []) {
      expect(readFileSync(join(import.meta.dirname, file), "utf8")).toContain(`"${rule}"`);
    }
  });

  it("tells of no rule that there is not", () => {
    for (const rule of rows.keys()) expect(Object.keys(RULES)).toContain(rule);
    for (const rule of ownRows.keys()) expect(switches.map(({ name }) => name)).toContain(rule);
  });

  it.each(switches)("tells of $name as it is, and its test is there", ({ name, section, asks, test }) => {
    expect(ownRows.get(name)).toEqual([section, asks, test.file.replace("test/", "")]);
    expect(readFileSync(join(root, test.file), "utf8")).toContain(test.title);
  });

  it("has a rule for each of M1 to M10, or says why there is none", () => {
    const own = new Set(switches.map(({ section }) => section));
    const missing = Array.from({ length: 10 }, (_, n) => `M${String(n + 1)}`).filter((rule) => !own.has(rule));
    expect(missing).toEqual(["M3", "M4", "M8"]);
    for (const rule of missing) expect(page).toMatch(new RegExp(`\\b${rule}\\b`));
  });
});
