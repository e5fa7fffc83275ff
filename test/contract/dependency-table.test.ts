// The README's table of dependencies and package.json say the same.
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");

interface PackageFile {
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
}

const { dependencies, devDependencies } = JSON.parse(
  readFileSync(path.join(root, "package.json"), "utf8"),
) as PackageFile;

/** Rows `| [name](…) | version | reason |` of the table under a heading. */
function tableUnder(heading: string): { name: string; version: string; reason: string }[] {
  const text = readFileSync(path.join(root, "README.md"), "utf8");
  const section = text.split(`### ${heading}\n`)[1]?.split(/\n#/)[0] ?? "";
  return [...section.matchAll(/^\| `([^`]+)` +\| ([^| ]+) +\| ([^|]+?) +\|$/gm)].map((row) => ({
    name: row[1]!,
    version: row[2]!,
    reason: row[3]!,
  }));
}

it.each([
  ["At run time", dependencies],
  ["In development", devDependencies],
])("%s: the README has every dependency with its exact version and a reason, and no other", (heading, wanted) => {
  const rows = tableUnder(heading);
  expect(Object.fromEntries(rows.map(({ name, version }) => [name, version]))).toEqual(wanted);
  for (const { reason } of rows) expect(reason.length).toBeGreaterThan(15);
});

it("every version is exact", () => {
  for (const version of Object.values({ ...dependencies, ...devDependencies }))
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

it("package-lock.json names no registry", () => {
  expect(readFileSync(path.join(root, "package-lock.json"), "utf8")).not.toMatch(/"resolved": *"https?:/);
});
