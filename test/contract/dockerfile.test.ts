// The image's promises that need no container; CI performs its steps with scripts/rehearse-image.mjs.
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { NODE_FLAGS } from "../support/server-process.ts";

const root = path.resolve(import.meta.dirname, "../..");
const lines = readFileSync(path.join(root, "Dockerfile"), "utf8").split("\n");

function argumentsOf(instruction: string): string[] {
  return lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1));
}

it("every stage is Node 24", () => {
  expect(argumentsOf("FROM").length).toBeGreaterThan(1);
  for (const from of argumentsOf("FROM")) expect(from).toMatch(/^node:24-slim AS \w+$/);
});

it("runs as a numeric user that is not root, with a data volume and a health check of the admin port", () => {
  expect(argumentsOf("USER")).toEqual([expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/)]);
  expect(argumentsOf("VOLUME")).toEqual(["/data"]);
  expect(argumentsOf("HEALTHCHECK")).toEqual([expect.stringContaining("/healthz")]);
});

it("every RUN is performed by CI too: .ci/run rehearses the Dockerfile itself", () => {
  expect(readFileSync(path.join(root, ".ci/run"), "utf8")).toContain("node scripts/rehearse-image.mjs");
});

it("copies nothing that .dockerignore keeps out", () => {
  const kept = readFileSync(path.join(root, ".dockerignore"), "utf8").split("\n");
  const sources = argumentsOf("COPY")
    .filter((copy) => !copy.includes("--from="))
    .flatMap((copy) => copy.split(" ").slice(0, -1));
  expect(sources.length).toBeGreaterThan(5);
  for (const source of sources) expect(kept).toContain(`!${source}`);
});

it("runs Node with the same flags as npm start and as the servers that are tested and measured", () => {
  const [entrypoint] = argumentsOf("ENTRYPOINT");
  expect(JSON.parse(entrypoint ?? "")).toEqual(["node", ...NODE_FLAGS, "dist/main.js"]);
  const { scripts } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    readonly scripts: { readonly start: string };
  };
  expect(scripts.start).toBe(["exec", "node", ...NODE_FLAGS, "scripts/start.mjs"].join(" "));
  const programs = readFileSync(path.join(root, "scripts/run-program.mjs"), "utf8");
  expect(programs).toContain(`NODE_FLAGS = ${JSON.stringify(NODE_FLAGS)};`);
});
