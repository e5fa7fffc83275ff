import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatToken, freshTokenSecret, parseToken } from "../../src/services/access-token.ts";
import { findDeploymentSecrets, SecretsRefused } from "../../src/services/deployment-secrets.ts";
import { deriveSecrets, SealBroken } from "../../src/services/secrets.ts";

const SECRET = "0123456789abcdef0123456789abcdef";

describe("deriveSecrets", () => {
  it("[C2] stores a keyed hash that tells right from wrong and differs between deployments", () => {
    const secrets = deriveSecrets(SECRET);
    const stored = secrets.hashKeySecret("a");
    expect(stored).toHaveLength(32);
    expect(secrets.matchesKeySecret("a", stored)).toBe(true);
    expect(secrets.matchesKeySecret("b", stored)).toBe(false);
    expect(secrets.matchesKeySecret("a", stored.subarray(1))).toBe(false);
    expect(deriveSecrets(`${SECRET}x`).matchesKeySecret("a", stored)).toBe(false);
  });

  it("opens what it sealed, under the same context and secret only, whole only", () => {
    const secrets = deriveSecrets(SECRET);
    const sealed = secrets.seal(Uint8Array.of(1, 2, 3), "context");
    expect(secrets.open(sealed, "context")).toEqual(Uint8Array.of(1, 2, 3));
    expect(secrets.seal(Uint8Array.of(1, 2, 3), "context")).not.toEqual(sealed);
    expect(() => secrets.open(sealed, "other")).toThrow(SealBroken);
    expect(() => deriveSecrets(`${SECRET}x`).open(sealed, "context")).toThrow(SealBroken);
    for (let at = 0; at < sealed.length; at += 1) {
      const altered = Uint8Array.from(sealed);
      altered[at] = (altered[at] ?? 0) ^ 1;
      expect(() => secrets.open(altered, "context")).toThrow(SealBroken);
      expect(() => secrets.open(sealed.subarray(0, at), "context")).toThrow(SealBroken);
    }
  });
});

describe("access tokens", () => {
  it("[C2] go together and come apart, and nothing else does", () => {
    const secret = freshTokenSecret();
    expect(parseToken(formatToken({ keyId: "a-1", secret }))).toEqual({ keyId: "a-1", secret });
    for (const wrong of [
      "",
      "aegis_a",
      "aegis__b",
      "aegis_a_",
      "aegis_a_b_c",
      "Aegis_a_b",
      " aegis_a_b",
      "aegis_a_b\n",
      "aegis_ä_b",
    ]) {
      expect(parseToken(wrong)).toBeUndefined();
    }
  });
});

describe("findDeploymentSecrets", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "aegis-secrets-"));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it("makes both once in a data folder, for its owner alone, and finds them again", async () => {
    const dataFolder = join(folder, "data");
    const first = await findDeploymentSecrets({ dataFolder, secret: undefined, operatorKey: undefined });
    expect(first.made.map(({ what }) => what)).toEqual(["secret", "operator key"]);
    expect(parseToken(first.operatorKey)).toBeDefined();
    for (const { path } of first.made) expect((await stat(path)).mode & 0o777).toBe(0o600);
    const again = await findDeploymentSecrets({ dataFolder, secret: undefined, operatorKey: undefined });
    expect(again).toEqual({ ...first, made: [] });
    expect((await readdir(dataFolder)).sort()).toEqual(["operator-key", "secret"]);
  });

  it("agrees on one when many starts race", async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () =>
        findDeploymentSecrets({ dataFolder: folder, secret: undefined, operatorKey: undefined }),
      ),
    );
    expect(new Set(all.map(({ secret, operatorKey }) => secret + operatorKey)).size).toBe(1);
  });

  it("takes what is given and writes nothing then", async () => {
    const found = await findDeploymentSecrets({ dataFolder: folder, secret: SECRET, operatorKey: "aegis_a_b" });
    expect(found).toEqual({ secret: SECRET, operatorKey: "aegis_a_b", made: [] });
    expect(await readdir(folder)).toEqual([]);
  });

  it("narrows a mode that somebody widened", async () => {
    await writeFile(join(folder, "secret"), SECRET, { mode: 0o644 });
    await findDeploymentSecrets({ dataFolder: folder, secret: undefined, operatorKey: "aegis_a_b" });
    expect((await stat(join(folder, "secret"))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(folder, "secret"), "utf8")).toBe(SECRET);
  });

  it("refuses a kept file that holds no secret", async () => {
    await writeFile(join(folder, "secret"), "");
    await expect(
      findDeploymentSecrets({ dataFolder: folder, secret: undefined, operatorKey: undefined }),
    ).rejects.toThrow(SecretsRefused);
  });

  it("refuses to start on Redis without both, saying which", async () => {
    const redis = { dataFolder: undefined, secret: undefined, operatorKey: undefined };
    await expect(findDeploymentSecrets(redis)).rejects.toThrow(/AEGIS_SECRET is not set/);
    await expect(findDeploymentSecrets({ ...redis, secret: SECRET })).rejects.toThrow(/AEGIS_OPERATOR_KEY is not set/);
    await expect(findDeploymentSecrets({ ...redis, secret: SECRET, operatorKey: "aegis_a_b" })).resolves.toMatchObject({
      made: [],
    });
  });
});
