// [F22] hostile bytes against live groups: no crash, nothing taken that its sender did not vouch for, and the same
// state after each mutant as before it.
import { describe, expect, it } from "vitest";
import { HostileGroup, type Original } from "../support/hostile-group.ts";
import { mutate, overwrite, seededRandom, splice } from "../support/mutations.ts";

const SEED = Number(process.env["AEGIS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** 500,000 in the long run. */
const MUTANTS = Number(process.env["AEGIS_MUTANTS"] ?? 8_000);
const LONGEST_MS = 3_600_000;
const TAKEN = ["followed", "accepted", "matched", "opened"];

describe("[F22] mutated commits, proposals, GroupInfos, Welcomes and trees against live groups", () => {
  it(`refuses ${MUTANTS} of them, the groups' state the same after each`, { timeout: LONGEST_MS }, async () => {
    console.log(`mls-hostile-commits: AEGIS_SEED=${SEED} AEGIS_MUTANTS=${MUTANTS}`);
    const random = seededRandom(SEED);
    const groups = [2, 6, 21].map((size) => new HostileGroup(size));
    const vouched = new Map<Original, Uint8Array>();
    for (const group of groups) {
      for (const original of group.originals) {
        const { answer, covered } = await group.offer(original);
        expect(TAKEN, `${original.kind}: ${answer}`).toContain(answer);
        vouched.set(original, covered as Uint8Array);
      }
    }
    const answers = new Map<string, number>();
    for (let count = 0; count < MUTANTS; count++) {
      const group = groups[count % groups.length] as HostileGroup;
      const pick = () => group.originals[Math.floor(random() * group.originals.length)] as Original;
      const original = pick();
      const { kind } = original;
      const bytes = damaged(original.bytes, pick().bytes, random);
      const digest = group.digest();
      const signed = await group.offer({ kind, bytes });
      // What members alone can check (tags, ciphertexts) may differ in what is taken, and nothing else.
      if (signed.covered !== undefined && !isVouched(group, vouched, signed.covered)) {
        throw new Error(`${kind} taken: ${Buffer.from(bytes).toString("hex")}`);
      }
      const { answer } = await group.offerUnsigned({ kind, bytes });
      if (group.digest() !== digest) throw new Error(`${kind} left a trace: ${Buffer.from(bytes).toString("hex")}`);
      for (const name of [signed.answer, answer]) answers.set(name, (answers.get(name) ?? 0) + 1);
    }
    console.log(`mls-hostile-commits: ${JSON.stringify(Object.fromEntries(answers))}`);
    expect(answers.size).toBeGreaterThan(20);
    for (const group of groups) {
      for (const original of group.originals) expect(TAKEN).toContain((await group.offer(original)).answer);
    }
  });
});

function damaged(bytes: Uint8Array, others: Uint8Array, random: () => number): Uint8Array {
  const way = random();
  if (way < 0.1) return splice(bytes, others, random);
  return way < 0.5 ? mutate(bytes, random) : overwrite(bytes, random);
}

function isVouched(group: HostileGroup, vouched: ReadonlyMap<Original, Uint8Array>, covered: Uint8Array): boolean {
  return group.originals.some((original) => Buffer.compare(vouched.get(original) as Uint8Array, covered) === 0);
}
