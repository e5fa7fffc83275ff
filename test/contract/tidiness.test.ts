// What CONTRIBUTING.md asks of every file, as far as a test can see it.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const linesMax = 275;

function filesUnder(...folders: string[]): string[] {
  return folders
    .filter((folder) => existsSync(path.join(root, folder)))
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map((name) =>
        path.join(folder, name),
      ),
    )
    .filter((file) => /\.(ts|mjs|lua|py)$/.test(file) && !/(^|\/)(dist|node_modules)\//.test(file));
}

const files = filesUnder("src", "test", "bench", "examples", "scripts");

function read(file: string): string {
  return readFileSync(path.join(root, file), "utf8");
}

/** Lines that eslint's max-lines counts: neither blank nor comment alone. */
function lengthOf(file: string): number {
  return read(file)
    .split("\n")
    .filter((line) => !/^\s*($|\/\/|\/?\*|--)/.test(line)).length;
}

describe("every file", () => {
  it("is seen", () => {
    expect(files.length).toBeGreaterThan(30);
    expect(files).toContain("test/contract/tidiness.test.ts");
  });

  it("is named in kebab-case, after what it holds", () => {
    const badly = files.filter((file) => {
      const name = path.basename(file);
      return (
        !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|config))?\.(ts|mjs|lua)$|^[a-z0-9_]+\.py$/.test(name) ||
        /^(utils?|common|helpers?|types|manager)\./.test(name)
      );
    });
    expect(badly).toEqual([]);
  });

  it("but a test, whose names say it, opens with a header that says what it is for", () => {
    const headless = files.filter(
      (file) => !file.endsWith(".test.ts") && !/^(#!.*\n)?(\/\/ |\/\*\*|-- |"""|# )/.test(read(file)),
    );
    expect(headless).toEqual([]);
  });

  it("leaves nothing for later", () => {
    const later = new RegExp(["TO", "DO|FIX", "ME|X", "XX"].join(""));
    expect(files.filter((file) => later.test(read(file)))).toEqual([]);
  });
});

it("Lua files stay under the line limit, as eslint sees to it for the others", () => {
  expect(files.filter((file) => file.endsWith(".lua") && lengthOf(file) > linesMax)).toEqual([]);
});

it("each long file that lint lets pass is there, is long, and has its reason", async () => {
  const { longFiles } = (await import(path.join(root, "eslint.config.mjs"))) as { longFiles: Record<string, string> };
  for (const [file, reason] of Object.entries(longFiles)) {
    expect(files).toContain(file);
    expect(lengthOf(file)).toBeGreaterThan(linesMax);
    expect(reason.length).toBeGreaterThan(20);
  }
});
