// `node scripts/rule-switches.mjs [RULE …]`: switches each rule of docs/MLS-CHECKS.md off in turn, in the code that
// the tests load and nowhere else, and fails unless every test file that the page names for it goes red.
import { readFileSync } from "node:fs";
import path from "node:path";
import { createVitest } from "vitest/node";
import { root } from "./run-command.mjs";

/** @typedef {{ name: string, file: string, off: [string, string][], tests: { file: string, pattern: RegExp }[] }} Switch */

const RULES_FILE = "src/mls/rules.ts";
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const read = (file) => readFileSync(path.join(root, file), "utf8");

/** The follower's rules: one switch in the Judge; the page names their tests. @returns {Switch[]} */
function followerSwitches() {
  const rows = read("docs/MLS-CHECKS.md").matchAll(/^\| *`(\w+)` *\| *[\d.]+ *\|.+\| *([^|\n]+?) *\|$/gm);
  return [...rows].map(([, name, tests]) => ({
    name,
    file: RULES_FILE,
    off: [["if (!broken || ", `if (!broken || rule === "${name}" || `]],
    tests: [...tests.matchAll(/`([^`]+)`/g)].map(([, file]) => {
      return { file: `test/unit/${file}`, pattern: new RegExp(`\\b${name}\\b`) };
    }),
  }));
}

/** The back-end's own rules: an edit each, that takes the check away. @returns {Switch[]} */
function serviceSwitches() {
  return JSON.parse(read("test/support/rule-switches.json")).map(({ name, file, off, test }) => ({
    name,
    file,
    off,
    tests: [{ file: test.file, pattern: new RegExp(escaped(test.title)) }],
  }));
}

/** @param {Switch | undefined} active */
function switchedOff(code, id, active) {
  if (active === undefined || id !== path.join(root, active.file)) return undefined;
  let changed = code;
  for (const [from, to] of active.off) {
    if (changed.split(from).length !== 2) throw new Error(`${active.name}: not once in ${active.file}: ${from}`);
    changed = changed.replace(from, () => to);
  }
  return changed;
}

const wanted = new Set(process.argv.slice(2));
const switches = [...followerSwitches(), ...serviceSwitches()].filter(
  ({ name }) => wanted.size === 0 || wanted.has(name),
);
/** @type {{ off: Switch | undefined }} */
const now = { off: undefined };
const plugin = {
  name: "rule-switch",
  enforce: "pre",
  transform: (code, id) => switchedOff(code, id.split("?")[0], now.off),
};
const include = [...new Set(switches.flatMap(({ tests }) => tests.map(({ file }) => file)))];
const options = {
  config: false,
  root,
  watch: false,
  include,
  reporters: [{}],
  // More than a hundred short runs: a thread starts faster than a process.
  pool: "threads",
  maxWorkers: 2,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  // A rule that is off may leave a test waiting for what never comes: it need not wait long.
  expect: { poll: { timeout: 5_000 } },
};
const vitest = await createVitest("test", options, { plugins: [plugin] });

/** The tests of some files whose name fits. @returns {Promise<{ file: string, name: string, state: string }[]>} */
async function run(files, pattern) {
  vitest.setGlobalTestNamePattern(pattern);
  const project = vitest.getRootProject();
  const { testModules } = await vitest.runTestSpecifications(
    files.map((file) => project.createSpecification(path.join(root, file))),
  );
  const outcomes = [];
  for (const module of testModules) {
    const file = path.relative(root, module.moduleId);
    // Vitest gives the outcomes of earlier runs too.
    if (!files.includes(file)) continue;
    for (const { message } of module.errors()) faults.push(`${file} does not load: ${message}`);
    for (const test of module.children.allTests()) {
      outcomes.push({ file, name: test.fullName, state: test.result().state });
    }
  }
  return outcomes;
}

const began = performance.now();
const faults = [];
const patterns = switches.flatMap(({ tests }) => tests.map(({ pattern }) => pattern.source));
const green = await run(include, new RegExp(patterns.join("|")));
for (const { file, name, state } of green) {
  if (state === "failed") faults.push(`${file} is red with all rules on: ${name}`);
}
for (const one of switches) {
  now.off = one;
  vitest.invalidateFile(path.join(root, one.file));
  const outcomes = await run(
    one.tests.map(({ file }) => file),
    new RegExp(one.tests.map(({ pattern }) => pattern.source).join("|")),
  );
  for (const { file, pattern } of one.tests) {
    const isIts = (test) => test.file === file && pattern.test(test.name);
    if (!green.some((test) => isIts(test) && test.state === "passed")) {
      faults.push(`${one.name}: no test of ${file} is named for it`);
    } else if (!outcomes.some((test) => isIts(test) && test.state === "failed")) {
      faults.push(`${one.name}: ${file} stays green with it off`);
    }
  }
  now.off = undefined;
  vitest.invalidateFile(path.join(root, one.file));
}
await vitest.close();
for (const fault of faults) console.error(fault);
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(`${switches.length} rules switched off in turn, ${faults.length} faults; ${seconds} s`);
process.exit(switches.length > 0 && faults.length === 0 ? 0 : 1);
