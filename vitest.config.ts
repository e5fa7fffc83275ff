import path from "node:path";
import { defineConfig } from "vitest/config";

/** Worker threads of the code under test load our sources too, without Vitest. */
const execArgv = ["--import", path.join(import.meta.dirname, "test/support/typescript-loader.mjs")];

const processes = {
  testTimeout: 120_000,
  hookTimeout: 60_000,
  execArgv,
  // Servers start and stores come back meanwhile, on machines that are busy.
  expect: { poll: { timeout: 20_000 } },
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "code",
          include: ["test/{unit,contract,property,simulation,vectors}/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          maxWorkers: 2,
          execArgv,
          expect: { poll: { timeout: 10_000 } },
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Starts servers and stores as processes.
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          ...processes,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // The same, and measures how long they take: one file at a time, so that the timings mean something.
        test: {
          name: "chaos",
          include: ["test/chaos/**/*.test.ts"],
          ...processes,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
