// `node scripts/run-program.mjs bench/follow-commits.ts [-- --members 10,100,1000,10000] [--rounds 40] [--bars]`: CPU of
// following one commit without secrets (suite 1, basic credentials, groups with history), decoding and signatures on the
// thread pool included, beside ts-mls' functions for the same at 500 members. With --bars, ends non-zero when one is missed.
import { setImmediate as nextTurn } from "node:timers/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { decodeMlsMessage, getCiphersuiteFromName, getCiphersuiteImpl, type UpdatePath } from "ts-mls";
import { verifyFramedContentSignature } from "ts-mls/framedContent.js";
import { decodeGroupContext } from "ts-mls/groupContext.js";
import { decodeRatchetTree } from "ts-mls/ratchetTree.js";
import { treeHashRoot } from "ts-mls/treeHash.js";
import { toLeafIndex } from "ts-mls/treemath.js";
import { applyUpdatePath } from "ts-mls/updatePath.js";
import { createBasicProvider } from "../src/mls/basic-provider.ts";
import { readGroupMessage } from "../src/mls/framing.ts";
import { followCommit } from "../src/mls/public-group/follow-commit.ts";
import { loadPublicGroupWork, openPublicGroup } from "../src/mls/public-group/public-group.ts";
import { Judge } from "../src/mls/rules.ts";
import { finishInSteps } from "../src/mls/work.ts";
import { SyntheticGroup } from "../test/support/synthetic-group.ts";
import { buildKeyPackage, newMember, NOW_MS, proposals } from "../test/support/synthetic-structs.ts";

const { values } = parseArgs({
  options: {
    members: { type: "string", default: "10,100,1000,10000" },
    rounds: { type: "string", default: "40" },
    bars: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const sizes = values.members.split(",").map(Number);
const missed: string[] = [];
const terms = { judge: new Judge(), provider: createBasicProvider(), nowMs: NOW_MS, pause: () => nextTurn() };

const perCommit = new Map<string, number>();
for (const size of sizes) await measure(size);
const [first, last] = [sizes[0] ?? 0, sizes.includes(10_000) ? 10_000 : (sizes.at(-1) ?? 0)];
for (const kind of ["update", "add", "remove", "external join"]) {
  const [small, large] = [perCommit.get(`${kind} ${first}`) ?? 0, perCommit.get(`${kind} ${last}`) ?? 0];
  bar(`${kind}: ${last} members cost at most 3 times what ${first} cost`, large <= 3 * small);
  const thousand = perCommit.get(`${kind} 1000`);
  if (thousand !== undefined) bar(`${kind}: at most 2 ms at 1,000 members`, thousand <= 2_000);
}
await compareWithTsMls(500);
if (values.bars && missed.length > 0) process.exitCode = 1;

async function measure(size: number): Promise<void> {
  const group = SyntheticGroup.create(size, { historyEvery: 2 });
  const commits = {
    update: () => group.commit({ committer: Math.floor(size / 2) }),
    add: () => group.commit({ proposals: [proposals.add(buildKeyPackage(newMember(`new ${Math.random()}`)))] }),
    remove: () => group.commit({ proposals: [proposals.remove(Math.floor(size / 3))] }),
    "external join": () => group.commit({ joiner: newMember("joiner"), proposals: [proposals.externalInit()] }),
  };
  for (const [kind, make] of Object.entries(commits)) {
    const messages = Array.from({ length: rounds + 10 }, () => make().message);
    for (const message of messages.slice(rounds)) await follow(group, message);
    const cpu = await cpuOf(async () => {
      for (const message of messages.slice(0, rounds)) await follow(group, message);
    });
    perCommit.set(`${kind} ${size}`, cpu / rounds);
    console.log(`${kind}, ${size} members: ${(cpu / rounds).toFixed(0)} µs CPU`);
  }
  await measureWholeTree(group, size);
}

async function follow(group: SyntheticGroup, bytes: Uint8Array): Promise<void> {
  const message = readGroupMessage(bytes);
  if (message.kind === "malformed" || message.value.contentType !== "commit") throw new Error("not a commit");
  if (message.value.wireFormat !== "public") throw new Error("not a PublicMessage");
  const outcome = await followCommit(group.group, message.value, group.terms({ ...terms }));
  if (outcome.kind !== "followed") throw new Error(JSON.stringify(outcome));
}

/**
 * Loading and opening a group: O(members), but nobody waits for it. The longest block is the shortest of three runs',
 * since a busy machine adds its own.
 */
async function measureWholeTree(group: SyntheticGroup, size: number): Promise<void> {
  const snapshot = group.group.snapshot();
  const info = group.groupInfo();
  let blockedMs = Number.POSITIVE_INFINITY;
  let cpu = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 3; run++) {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    await nextTurn();
    delay.enable();
    const used = await cpuOf(async () => {
      const loaded = await finishInSteps(loadPublicGroupWork(snapshot), () => nextTurn());
      if (loaded.kind === "malformed") throw new Error(loaded.why);
      const opened = await openPublicGroup(info, loaded.value.tree, terms);
      if (opened.kind !== "opened") throw new Error(opened.rule);
    });
    await nextTurn();
    delay.disable();
    blockedMs = Math.min(blockedMs, delay.max / 1e6);
    cpu = Math.min(cpu, used);
  }
  console.log(
    `whole tree, ${size} members: ${(cpu / 1000).toFixed(0)} ms CPU, event loop blocked ${blockedMs.toFixed(1)} ms at ` +
      `most, tree of ${snapshot.ratchetTree.length} bytes`,
  );
  if (size <= 10_000) bar(`whole tree of ${size}: event loop blocked at most 50 ms`, blockedMs <= 50);
}

async function compareWithTsMls(size: number): Promise<void> {
  const group = SyntheticGroup.create(size, { historyEvery: 2 });
  const bytes = group.commit({ committer: size / 2 }).message;
  for (let warm = 0; warm < 10; warm++) await follow(group, bytes);
  const own =
    (await cpuOf(async () => {
      for (let round = 0; round < rounds; round++) await follow(group, bytes);
    })) / rounds;
  const impl = await getCiphersuiteImpl(getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"));
  const tree = decodeRatchetTree(group.group.snapshot().ratchetTree, 0)?.[0];
  const context = decodeGroupContext(group.group.groupContext, 0)?.[0];
  if (tree === undefined || context === undefined) throw new Error("not decoded");
  const theirs = await cpuOf(async () => {
    const message = decodeMlsMessage(bytes, 0)?.[0];
    if (message?.wireformat !== "mls_public_message") throw new Error("not decoded");
    const { content, auth } = message.publicMessage;
    if (content.contentType !== "commit") throw new Error("not a commit");
    const key = group.member(size / 2).signatureKey;
    await verifyFramedContentSignature(key, "mls_public_message", content, auth, context, impl.signature);
    const path = content.commit.path as UpdatePath;
    const merged = await applyUpdatePath(tree, toLeafIndex(size / 2), path, impl.hash);
    await treeHashRoot(merged, impl.hash);
  });
  console.log(`at ${size} members: ${own.toFixed(0)} µs here, ${theirs.toFixed(0)} µs with ts-mls' functions`);
  bar(`at least 50 times the speed of ts-mls' functions at ${size} members`, theirs >= 50 * own);
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function bar(what: string, held: boolean): void {
  console.log(`${held ? "held  " : "missed"} ${what}`);
  if (!held) missed.push(what);
}
