// [F22] inside MLS: no decoder throws, whatever the bytes; what it takes, it takes whole.
import { beforeAll, describe, expect, it } from "vitest";
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import { decodeCredential } from "../../src/mls/credential.ts";
import { readGroupMessage } from "../../src/mls/framing.ts";
import { readGroupInfo } from "../../src/mls/group-info.ts";
import { checkKeyPackage } from "../../src/mls/key-package-check.ts";
import { readKeyPackage } from "../../src/mls/key-package.ts";
import { encodeRatchetTree, readRatchetTree } from "../../src/mls/ratchet-tree.ts";
import { validateTreeStructure } from "../../src/mls/tree/validate-tree.ts";
import { readWelcome } from "../../src/mls/welcome.ts";
import { MlsClient } from "../support/mls-client.ts";
import { mutate, seededRandom } from "../support/mutations.ts";

const SEED = Number(process.env["AEGIS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const BUDGET_MS = 1_500;
/** However slow the machine is. */
const ROUNDS_MIN = 200;

const samples = new Map<string, Uint8Array[]>();

beforeAll(async () => {
  console.log(`mls-hostile-bytes: AEGIS_SEED=${SEED}`);
  const alice = await MlsClient.create({ identity: "alice" });
  const others = await Promise.all(["b", "c", "d", "e"].map((identity) => MlsClient.create({ identity })));
  const packages = await Promise.all(others.map((client) => client.createKeyPackage({ lastResort: true })));
  const group = await alice.createGroup(new TextEncoder().encode("g"));
  const add = await group.commit({ add: packages.map(({ message }) => message), ratchetTreeInWelcome: true });
  add.accept();
  const remove = await group.commit({ remove: [2], groupInfo: { ratchetTree: true } });
  const application = await group.send(Uint8Array.of(1, 2, 3));
  const proposal = await group.propose({ proposalType: "remove", remove: { removed: 3 } });
  samples.set(
    "key package",
    packages.map(({ message }) => message),
  );
  samples.set("group message", [add.commit, remove.commit, application, proposal]);
  samples.set("group info", [add.groupInfo, remove.groupInfo]);
  samples.set("welcome", [add.welcome as Uint8Array]);
  samples.set("ratchet tree", [add.ratchetTree, remove.ratchetTree]);
  samples.set("credential", [alice.credential]);
});

/** Mutants until the budget is used up; the decoder must answer each time. */
function pelt(kind: string, decode: (bytes: Uint8Array) => { readonly kind: string }): Record<string, number> {
  const random = seededRandom(SEED);
  const originals = samples.get(kind) as Uint8Array[];
  const counts: Record<string, number> = { ok: 0, malformed: 0 };
  for (const original of originals) expect(decode(original).kind).toBe("ok");
  const until = performance.now() + BUDGET_MS;
  for (let round = 0; round < ROUNDS_MIN || performance.now() < until; round++) {
    const mutant = mutate(originals[Math.floor(random() * originals.length)] as Uint8Array, random);
    const before = Uint8Array.from(mutant);
    const { kind: answer } = decode(mutant);
    counts[answer] = (counts[answer] ?? 0) + 1;
    expect(mutant).toEqual(before);
  }
  return counts;
}

describe("[F22] mutated MLS bytes never throw", () => {
  it("as key packages, judged whole", async () => {
    expect(pelt("key package", readKeyPackage)["malformed"]).toBeGreaterThan(10);
    const random = seededRandom(SEED + 1);
    const [original] = samples.get("key package") as [Uint8Array];
    const terms = {
      nowMs: Date.now(),
      bytesMax: 65_536,
      ciphersuites: [1, 2, 3, 7],
      lifetimeMaxMs: null,
      currentCredential: (samples.get("credential") as [Uint8Array])[0],
      currentHolder: createBasicProvider().holder((samples.get("credential") as [Uint8Array])[0]) ?? { handle: "" },
      asLastResort: true,
      provider: createBasicProvider(),
    };
    for (let round = 0; round < 500; round++) {
      const mutant = mutate(original, random);
      const outcome = await checkKeyPackage(mutant, terms);
      if (Buffer.compare(mutant, original) !== 0) expect(outcome.kind).toBe("rejected");
    }
  });

  it.each([
    ["group message", readGroupMessage],
    ["group info", readGroupInfo],
    ["welcome", readWelcome],
    ["credential", decodeCredential],
  ])("as a %s", (kind, decode) => {
    expect(pelt(kind, decode)["malformed"]).toBeGreaterThan(10);
  });

  it("as a ratchet tree, whose structure is then judged and which encodes as it came", () => {
    const counts = pelt("ratchet tree", (bytes) => {
      const decoded = readRatchetTree(bytes, 1);
      if (decoded.kind === "malformed") return decoded;
      expect(Buffer.compare(encodeRatchetTree(decoded.value), bytes)).toBe(0);
      return { kind: validateTreeStructure(decoded.value) === undefined ? "ok" : "malformed" };
    });
    expect(counts["malformed"]).toBeGreaterThan(10);
  });
});

describe("[F22] small bytes do not ask for much memory or time", () => {
  it("refuses a tree of more leaves than any group has", () => {
    // 300,000 blank nodes, then a parent at an odd position: all of it cheap to write.
    const blanks = new Uint8Array(300_000);
    const bytes = Uint8Array.from([0x80, 0x04, 0x93, 0xe0, ...blanks]);
    expect(readRatchetTree(bytes, 1)).toMatchObject({ kind: "malformed", why: "a tree of more than 131072 leaves" });
  });

  it("answers a megabyte of empty vectors at once", () => {
    const head = Uint8Array.of(0, 1, 0, 1, 0, ...new Uint8Array(8), 1, 0, 0, 0, 0, 0, 3);
    const body = new Uint8Array(1 << 20);
    const bytes = Buffer.concat([head, Uint8Array.of(0x80, 0x10, 0, 0), body]);
    for (const decode of [readGroupMessage, readGroupInfo, readWelcome, readKeyPackage]) {
      const start = performance.now();
      expect(decode(bytes).kind).toBe("malformed");
      expect(performance.now() - start).toBeLessThan(1_000);
    }
  });
});
