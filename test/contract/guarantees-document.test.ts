// docs/GUARANTEES.md claims no proof that is not there, and no document links to what is not there.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");

function read(file: string): string {
  return readFileSync(path.join(root, file), "utf8");
}

const tests = readdirSync(path.join(root, "test"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => read(path.join("test", file)));

const claims = [...read("docs/GUARANTEES.md").matchAll(/^\| ([GF]\d+) .*\| ([^|]+?) +\|$/gm)].map((row) => ({
  id: row[1]!,
  state: row[2]!,
}));

describe("docs/GUARANTEES.md", () => {
  it("has every promise, each with its state", () => {
    expect(claims.map(({ id }) => id)).toEqual(expect.arrayContaining(["G1", "G5", "G10", "F02", "F25"]));
    for (const { state } of claims) expect(state).toMatch(/^proved$|^later: .{5}/);
  });

  it.each(claims.filter(({ state }) => state === "proved"))("$id is proved by a test that names it", ({ id }) => {
    const named = new RegExp(`(it|test|each\\([^)]*\\))\\(\\s*["'\`](\\[[A-Z]\\d+\\] ?)*\\[${id}\\]`);
    expect(tests.some((text) => named.test(text))).toBe(true);
  });
});

const documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "docs/decisions"].flatMap((entry) =>
  entry.endsWith(".md")
    ? [entry]
    : readdirSync(path.join(root, entry))
        .filter((name) => name.endsWith(".md"))
        .map((name) => path.join(entry, name)),
);

it.each(documents)("%s links only to what is there", (document) => {
  const links = [...read(document).matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)].map((link) => link[1]!);
  const dead = links
    .filter((link) => !/^https?:/.test(link))
    .filter((link) => !existsSync(path.resolve(root, path.dirname(document), link)));
  expect(dead).toEqual([]);
});
