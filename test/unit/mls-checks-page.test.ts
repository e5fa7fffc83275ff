// docs/MLS-CHECKS.md names every rule with its section and a test that names the rule.
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
  });
});
