// Preloaded into the real server by a test (NODE_OPTIONS=--import=…): at its N-th write to the store, counted from
// when the plan appears, ends the process with SIGKILL or loses the store's answer. Never part of a build.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { LmdbStore } from "../../dist/store/lmdb/lmdb-store.js";
import { RedisStore } from "../../dist/store/redis/redis-store.js";
import { StoreUnavailable } from "../../dist/store/store.js";

const planFile = process.env["AEGIS_TEST_CRASH_PLAN"];
const aheadFile = process.env["AEGIS_TEST_CLOCK_AHEAD_FILE"];
const aheadMs = aheadFile === undefined ? 0 : Number(readOr("0", aheadFile));
const writes = { plan: "", seen: 0 };

function readOr(fallback, file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // Not there: nothing is planned.
    return fallback;
  }
}

/** Time for an answer to leave that did not wait for the write. */
const EARLY_MS = 100;

/** Counts one write; answers what must happen at it, if anything. */
function count() {
  const plan = planFile === undefined ? "" : readOr("", planFile);
  if (plan === "") return undefined;
  if (plan !== writes.plan) Object.assign(writes, { plan, seen: 0 });
  writes.seen += 1;
  const { at, when } = JSON.parse(plan);
  // Whole or not at all: the test reads it meanwhile.
  writeFileSync(`${planFile}.counted`, String(writes.seen));
  renameSync(`${planFile}.counted`, `${planFile}.seen`);
  return writes.seen === at ? when : undefined;
}

function die() {
  renameSync(planFile, `${planFile}.done`);
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => undefined);
}

for (const store of [LmdbStore, RedisStore]) {
  for (const name of ["commit", "writeTags", "purgeApplication"]) {
    const write = store.prototype[name];
    store.prototype[name] = async function (...given) {
      const when = count();
      if (when === "before") await delay(EARLY_MS).then(die);
      const done = write.apply(this, given);
      // What was sent is on its way, and nobody here has heard of it.
      if (when === "during") setImmediate(die);
      const outcome = await done;
      if (when === "after") await die();
      if (when === "unanswered") throw new StoreUnavailable("the answer was lost");
      return outcome;
    };
  }
  if (process.env["AEGIS_TEST_OUTBOX_FORGOTTEN"] === "1") store.prototype.readOutbox = async () => [];
  const { time } = store.prototype;
  // Timers that are due in a minute are due now: the store's time is what they go by.
  store.prototype.time = async function () {
    return (await time.call(this)) + aheadMs;
  };
}
