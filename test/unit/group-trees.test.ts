// How long the group's machine keeps what epochs that are over are replayed from, in `full` tracking.
import { expect, it } from "vitest";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { createGroup, SETTINGS as GOVERNED, submitCommit } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench } from "../support/machine-bench.ts";

const entry = machineCatalogue.group;
const group = address("group", "67726f7570");
const bytes = (length: number) => new Uint8Array(length).fill(1);
const tree = (length: number) => ({ encoded: bytes(length), treeHash: "aGFzaA==", bytes: length, members: 2 });

it("an epoch with Welcomes can be replayed as long as they may be unread, however many snapshots there were since", () => {
  const bench = new Bench(entry, group);
  const keepMs = GOVERNED.inboxRetention.ms;
  const snapshot = { ...tree(5), groupContext: bytes(1), confirmationTag: bytes(1) };
  bench.send(createGroup({ tracking: "full", full: { snapshot, leaves: 0, clients: [] } }));
  const welcomedAt = new Map<number, number>();
  for (let epoch = 1; epoch <= 300; epoch += 1) {
    const full = { entered: [], left: [], memberCount: 2, treeBytes: 5, snapshot };
    bench.send(submitCommit(epoch - 1, { added: [{ clientId: `c${epoch}`, welcome: bytes(1) }], full }));
    welcomedAt.set(epoch, bench.now);
    bench.now += keepMs / 50;
    bench.send({ type: "timer", name: "trees" });
    const kept = bench.context["trees"] as { epoch: string }[];
    expect(kept.length).toBeLessThanOrEqual(16);
    const oldest = Number(kept[0]?.epoch);
    const unread = [...welcomedAt].filter(([, at]) => at + keepMs > bench.now).map(([one]) => one);
    expect(oldest).toBeLessThanOrEqual(Math.min(...unread));
    // What the log is kept for beyond that stays a small share of it.
    expect(epoch - oldest).toBeLessThanOrEqual(50 * 1.1);
  }
});
