// What a followed group weighs in memory.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  loadPublicGroup,
  type PublicGroup,
  type PublicGroupSnapshot,
} from "../../src/mls/public-group/public-group.ts";

import type { TreeHasher } from "../../src/mls/tree/tree-hasher.ts";

/** So many members are held at once that what else goes on in the process does not count. */
const MEMBERS_WEIGHED = 20_000;

/** Bytes a member of a group as it is loaded, without those of its credential. */
export function memoryAMember(snapshot: PublicGroupSnapshot): number {
  // As the server has it: one hasher for all groups of a suite.
  const { tree } = load(snapshot);
  const { hasher } = tree;
  const members = tree.memberCount;
  let credentialBytes = 0;
  for (const [, { credential }] of tree.members()) credentialBytes += credential.length;
  const before = bytesInUse();
  const kept: PublicGroup[] = [];
  while (kept.length * members < MEMBERS_WEIGHED) kept.push(load(snapshot, hasher));
  return ((bytesInUse() - before) / kept.length - credentialBytes) / members;
}

export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  gc();
  gc();
}

function bytesInUse(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function load(snapshot: PublicGroupSnapshot, hasher?: TreeHasher): PublicGroup {
  const loaded = loadPublicGroup(snapshot, hasher);
  if (loaded.kind === "malformed") throw new Error(loaded.why);
  return loaded.value;
}
