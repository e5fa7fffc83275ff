import path from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Worker threads of the code under test load our sources too, without Vitest. */
const execArgv = ["--import", path.join(import.meta.dirname, "test/support/thread-loader.mjs")];

/** Faults whose healing is timed: one file at a time, so that the timings mean something. */
const TIMED = ["activation-storm", "cluster-cuts", "cluster-faults", "haproxy", "ignored-hand-over"].map(
  (name) => `test/chaos/${name}.test.ts`,
);

/** Begun first, so that no worker is left with one of them when all others are done. */
const LONGEST = [
  ...[
    "chains-on-lmdb",
    "kill-server",
    "two-versions",
    "demo",
    "lagging-replica",
    "soak",
    "two-servers",
    "lost-answers",
  ],
  ...["create-cost", "sabotage"],
].map((name) => `${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => LONGEST.includes(path.basename(moduleId));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

const processes = {
  testTimeout: 120_000,
  hookTimeout: 60_000,
  execArgv,
  // Servers start and stores come back meanwhile, on machines that are busy.
  expect: { poll: { timeout: 20_000 } },
};

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
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
        // Starts servers and stores as processes: each file waits for some of its time, so that three keep two processors busy.
        test: {
          name: "process",
          include: ["test/{integration,chaos}/**/*.test.ts"],
          exclude: TIMED,
          ...processes,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "timed",
          include: TIMED,
          ...processes,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
