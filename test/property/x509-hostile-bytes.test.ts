// [F22] Certificates under random damage: nothing is thrown, nothing is taken that its authority did not sign.
import { beforeAll, describe, expect, test } from "vitest";
import { encodeX509Credential } from "../../src/mls/credential.ts";
import { createX509Provider, x509SettingsFault } from "../../src/mls/x509-provider.ts";
import { CertificateWorld } from "../support/certificates.ts";
import { settingsOf } from "../support/identity-provider-case.ts";
import { recipes, type RecipeName } from "../support/identity-provider-recipes.ts";
import { mutate, seededRandom } from "../support/mutations.ts";
import { seedOf } from "../support/seed.ts";

const BUDGET_MS = 1_500;
/** However slow the machine is: one damaged certificate in ten can still be read. */
const ROUNDS_MIN = 400;
const nowMs = Date.UTC(2026, 5, 1);
const world = new CertificateWorld(recipes, nowMs);

let random: () => number;
beforeAll(() => {
  random = seededRandom(seedOf("x509-hostile-bytes"));
});

const chains: [string, RecipeName, RecipeName[]][] = [
  ["Ed25519", "root", ["device", "account", "domain"]],
  ["P-256", "rootP256", ["leafP256"]],
  ["P-521", "rootP521", ["leafP521"]],
  ["Ed448", "rootEd448", ["leafEd448"]],
];

describe("[F22] damaged certificates", () => {
  test.each(chains)("%s: never throw, and never pass for whole ones", (_, anchor, chain) => {
    const provider = createX509Provider(settingsOf(world, { anchors: [anchor] }));
    const originals = world.ders(chain);
    const whole = encodeX509Credential(originals);
    expect(provider.validate(whole, nowMs).valid).toBe(true);
    const causes: Record<string, number> = {};
    const until = performance.now() + BUDGET_MS;
    for (let round = 0; round < ROUNDS_MIN || performance.now() < until; round++) {
      const hit = Math.floor(random() * originals.length);
      const damaged = originals.map((der, at) => (at === hit ? mutate(der, random) : der));
      const credential = encodeX509Credential(damaged);
      if (Buffer.compare(credential, whole) === 0) continue;
      const verdict = provider.validate(credential, nowMs);
      if (verdict.valid) throw new Error(`taken: ${Buffer.from(credential).toString("hex")}`);
      causes[verdict.cause] = (causes[verdict.cause] ?? 0) + 1;
      expect(provider.keyMatches(credential, whole, 1)).toBe(false);
    }
    // Both what can't be read and what can, but is not signed.
    expect(causes["malformed"]).toBeGreaterThan(10);
    expect(causes["chain_invalid"]).toBeGreaterThan(10);
  });

  test("are no reason to throw for settings either", () => {
    const good = settingsOf(world, {});
    const until = performance.now() + BUDGET_MS;
    while (performance.now() < until) {
      const fault = x509SettingsFault({ ...good, trustAnchors: [mutate(world.get("root").der, random)] });
      expect(fault === undefined || fault.path === "trustAnchors.0").toBe(true);
    }
  });
});
