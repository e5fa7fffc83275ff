// MLS bytes for the load, made once and always the same: key packages of pool owners, and GroupInfos of groups.
import { createPrivateKey, createPublicKey } from "node:crypto";
import { encodeBasicCredential } from "../../src/mls/credential.ts";
import { randomFrom } from "../support/seed.ts";
import { SyntheticGroup } from "../support/synthetic-group.ts";
import { buildKeyPackage, NOW_MS, type Member } from "../support/synthetic-structs.ts";

export interface PoolFixture {
  readonly credential: Uint8Array;
  readonly packages: readonly { readonly message: Uint8Array; readonly ref: string }[];
}

export interface GroupFixture {
  readonly groupId: Uint8Array;
  readonly groupInfo: Uint8Array;
}

export interface Fixtures {
  readonly pools: readonly PoolFixture[];
  readonly groups: readonly GroupFixture[];
}

/** When every run begins: the key packages are valid then. */
export const EPOCH_MS = NOW_MS;
const POOLS = 2;
const PACKAGES = 24;
const GROUPS = 3;
const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_HEADER = 12;

const made: { fixtures?: Fixtures } = {};

export function fixtures(): Fixtures {
  return (made.fixtures ??= make());
}

function make(): Fixtures {
  const random = randomFrom(1);
  const bytes = (count: number): Uint8Array => Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
  const pools = Array.from({ length: POOLS }, (_, n): PoolFixture => {
    const member = memberOf(`pool-owner-${String(n)}`, bytes(32));
    const packages = Array.from({ length: PACKAGES }, () => {
      const built = buildKeyPackage(member, { initKey: bytes(32), leaf: { encryptionKey: bytes(32) } });
      return { message: built.message, ref: Buffer.from(built.ref).toString("hex") };
    });
    return { credential: credentialNamed(member.name), packages };
  });
  const synthetic = SyntheticGroup.create(1, { epoch: 0n });
  const groups = Array.from({ length: GROUPS }, (_, n): GroupFixture => {
    const groupId = new TextEncoder().encode(`group-${String(n)}`);
    return { groupId, groupInfo: synthetic.groupInfoMessage({ context: { groupId, epoch: 0n } }) };
  });
  return { pools, groups };
}

function memberOf(name: string, secret: Uint8Array): Member {
  const signKey = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, secret]), format: "der", type: "pkcs8" });
  const spki = createPublicKey(signKey).export({ format: "der", type: "spki" });
  return { name, signKey, signatureKey: new Uint8Array(spki.subarray(SPKI_HEADER)) };
}

export function credentialNamed(name: string): Uint8Array {
  return encodeBasicCredential(new TextEncoder().encode(name));
}
