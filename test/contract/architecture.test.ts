// The import rules of docs/ARCHITECTURE.md, on the real tree, with the proof that they can fail.
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import extractTSConfig from "dependency-cruiser/config-utl/extract-ts-config";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { architectureRules, circleBack, innocentFiles } from "../support/architecture-rules.ts";

const root = path.resolve(import.meta.dirname, "../..");

async function cruiseTree(baseDir: string): Promise<ICruiseResult> {
  const { output } = await cruise(
    ["src", "bench", "examples"].filter((folder) => existsSync(path.join(baseDir, folder))),
    {
      baseDir,
      validate: true,
      ruleSet: { forbidden: architectureRules.map(({ rule }) => rule) },
      tsPreCompilationDeps: "specify",
      doNotFollow: { path: "(^|/)node_modules/" },
    },
    { extensions: [".ts"] },
    { tsConfig: extractTSConfig(path.join(root, "tsconfig.json")) },
  );
  return output as ICruiseResult;
}

function violationsOf(result: ICruiseResult): string[] {
  return result.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`);
}

function edgesOf(result: ICruiseResult): string[] {
  return result.modules.flatMap(({ source, dependencies }) =>
    dependencies.map(({ resolved }) => `${source} → ${resolved}`),
  );
}

function writeTree(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(path.join(tmpdir(), "aegis-architecture-"));
  for (const [file, source] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), `${source}\n`);
  }
  symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));
  return folder;
}

describe("the real tree", () => {
  let result: ICruiseResult;

  beforeAll(async () => {
    result = await cruiseTree(root);
  }, 120_000);

  it("is seen: its modules, and edges that are known to be there", () => {
    expect(result.modules.filter(({ source }) => source.startsWith("src/")).length).toBeGreaterThan(15);
    const edges = edgesOf(result);
    // One edge that is a type import only, one of a value: both kinds count.
    expect(edges).toContain("src/actors/effects.ts → src/actors/actor-port.ts");
    expect(edges).toContain("src/actors/live-actor.ts → src/actors/snapshot.ts");
    expect(edges.some((edge) => /^src\/actors\/live-actor\.ts → .*node_modules\/xstate\//.test(edge))).toBe(true);
  });

  it("keeps the import rules", () => {
    expect(violationsOf(result)).toEqual([]);
  });
});

describe("the rules can fail", () => {
  const folders: string[] = [];
  let innocent: ICruiseResult;
  let planted: ICruiseResult;

  beforeAll(async () => {
    const withPlants: Record<string, string> = { ...innocentFiles, [circleBack.file]: circleBack.source };
    for (const { plant } of architectureRules) withPlants[plant.file] = plant.source;
    folders.push(writeTree(innocentFiles), writeTree(withPlants));
    innocent = await cruiseTree(folders[0]!);
    planted = await cruiseTree(folders[1]!);
  }, 120_000);

  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  it("passes a tree without plants", () => {
    expect(innocent.modules.length).toBeGreaterThan(Object.keys(innocentFiles).length / 2);
    expect(violationsOf(innocent)).toEqual([]);
  });

  it.each(architectureRules.map(({ rule, plant }) => ({ name: rule.name, file: plant.file })))(
    "$name fails on its planted import",
    ({ name, file }) => {
      const broken = planted.summary.violations.filter(({ rule, from }) => rule.name === name && from === file);
      expect(broken.length).toBeGreaterThan(0);
    },
  );
});
