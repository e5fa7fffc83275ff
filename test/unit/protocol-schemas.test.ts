import { describe, expect, test } from "vitest";
import { checkParams } from "../../src/protocol/check-params.ts";
import { closeCodes, shouldReconnect } from "../../src/protocol/close-codes.ts";
import { httpStatusOf, refuse } from "../../src/protocol/errors.ts";
import { commonReasons, isMethodName, methods, type MethodName } from "../../src/protocol/methods.ts";
import { paramsDigest } from "../../src/protocol/params-digest.ts";
import { reasons } from "../../src/protocol/reasons.ts";
import { defaultSettings, settings, settingsChange } from "../../src/protocol/schemas/application.ts";

const clientId = "01890a5d-ac96-774b-bcce-b302099a8057";
const bytes = Uint8Array.of(1, 2, 3);

function path(outcome: ReturnType<typeof checkParams>): unknown {
  if (outcome.ok) throw new Error("expected a refusal");
  expect(outcome.refusal).toMatchObject({ code: "INVALID_ARGUMENT", reason: "BAD_PARAMS", retryable: false });
  return outcome.refusal.details?.["path"];
}

describe("types on the wire", () => {
  test("[T1] nil equals absent and unknown keys are ignored, at every depth", () => {
    const outcome = checkParams("identity.update", {
      clientId,
      clientIdentity: null,
      tags: { set: null, add: ["a"], colour: "red" },
      ifVersion: null,
      later: 7,
    });
    expect(outcome).toEqual({ ok: true, params: { clientId, tags: { add: ["a"] } } });
  });

  test("[T1] whole floats and bigints are integers; fractions, negatives and 2^53 are not", () => {
    for (const limit of [100, 100n]) {
      const outcome = checkParams("application.list", { limit });
      expect(outcome).toEqual({ ok: true, params: { limit: 100 } });
    }
    for (const ifVersion of [1.5, -1, -1n, 2 ** 53, 2n ** 53n, Number.NaN, Number.POSITIVE_INFINITY, "1", true]) {
      expect(path(checkParams("identity.update", { clientId, ifVersion }))).toBe("ifVersion");
    }
  });

  test("[T2] an epoch is a bigint up to 2^64-1", () => {
    const groupId = bytes;
    for (const epoch of [0, 7n, 2n ** 64n - 1n]) {
      const outcome = checkParams("group.tree", { groupId, epoch });
      expect(outcome).toMatchObject({ ok: true, params: { epoch: BigInt(epoch), from: 0, bytesMax: 1_048_576 } });
    }
    for (const epoch of [-1, 2n ** 64n, 0.5]) {
      expect(path(checkParams("group.tree", { groupId, epoch }))).toBe("epoch");
    }
  });

  test("[T2] a tag has 1 to 256 bytes of UTF-8, a label 0 to 64, a uuid is lower-case", () => {
    const create = (tags: unknown): ReturnType<typeof checkParams> =>
      checkParams("identity.create", { clientIdentity: bytes, tags });
    expect(create(["x".repeat(256), "é".repeat(128), "€".repeat(85)]).ok).toBe(true);
    for (const tag of ["", "x".repeat(257), "é".repeat(129), "€".repeat(86), 5]) {
      expect(path(create(["ok", tag]))).toBe("tags.1");
    }
    const publish = (label: string): boolean => checkParams("keyPool.publish", { clientId, label, keyPackages: [] }).ok;
    expect(publish("x".repeat(64))).toBe(true);
    expect(publish("x".repeat(65))).toBe(false);
    expect(path(checkParams("identity.history", { clientId: clientId.toUpperCase() }))).toBe("clientId");
  });

  test("[E2] the path leads to the wrong parameter and the text holds no value", () => {
    expect(path(checkParams("identity.get", { clientIds: [clientId, "secret-value"] }))).toBe("clientIds.1");
    expect(path(checkParams("identity.get", 5))).toBe("");
    expect(path(checkParams("identity.get", bytes))).toBe("");
    expect(path(checkParams("identity.create", {}))).toBe("clientIdentity");
    const outcome = checkParams("subscription.add", { subscription: 1, streams: [{ kind: "secret-value", id: 1 }] });
    expect(JSON.stringify(outcome)).not.toContain("secret-value");
  });

  test("[E2] parameters that exclude each other are refused together", () => {
    expect(checkParams("identity.resolve", { handle: "alice" }).ok).toBe(true);
    expect(path(checkParams("identity.resolve", {}))).toBe("");
    expect(path(checkParams("identity.resolve", { handle: "a", clientIdentity: bytes }))).toBe("");
    expect(path(checkParams("keyPool.remove", { clientId, all: true, keyPackageRefs: [bytes] }))).toBe("");
    expect(path(checkParams("identity.update", { clientId, tags: { set: [], add: ["a"] } }))).toBe("tags");
    expect(path(checkParams("keyPool.claim", { targets: [{ clientId, all: ["a"] }] }))).toBe("targets.0");
  });

  test("[S3] a group may be followed from an epoch, an inbox may not", () => {
    const add = (stream: object): boolean => checkParams("subscription.add", { subscription: 1, streams: [stream] }).ok;
    expect(add({ kind: "group", id: bytes, after: { epoch: 3 } })).toBe(true);
    expect(add({ kind: "group", id: bytes, after: { lineage: "l", offset: 3 } })).toBe(true);
    expect(add({ kind: "client", id: clientId, after: "start" })).toBe(true);
    expect(add({ kind: "client", id: clientId })).toBe(true);
    expect(add({ kind: "client", id: clientId, after: { epoch: 3 } })).toBe(false);
    expect(add({ kind: "client", id: bytes })).toBe(false);
  });
});

describe("settings", () => {
  test("have the defaults of the table", () => {
    expect(defaultSettings).toEqual({
      identityProvider: { type: "basic" },
      identityChange: "any",
      ciphersuites: [1, 2, 3, 7],
      keyPackageLifetimeMaxMs: 7_776_000_000,
      keyPoolTarget: 100,
      keyPoolLow: 20,
      keyPoolMax: 500,
      claimsPerHour: 200,
      externalJoin: "members",
      strangers: false,
      enforceProposals: true,
      proposalTypes: [],
      pastEpochs: 1,
      groupMembersMax: 50_000,
      groupRetention: { ms: 2_592_000_000, events: 100_000, bytes: 268_435_456 },
      inboxRetention: { ms: 2_592_000_000, events: 10_000 },
      quotas: { sessions: 1000, requestsPerSecond: 20_000, identities: null, groups: null },
    });
  });

  test("an explicit nil means no limit where the table says so, absent the default", () => {
    expect(settings.parse({ keyPackageLifetimeMaxMs: null }).keyPackageLifetimeMaxMs).toBeNull();
    expect(settingsChange.parse({ keyPackageLifetimeMaxMs: null, keyPoolLow: null })).toEqual({
      keyPackageLifetimeMaxMs: null,
    });
    expect(settingsChange.parse({ quotas: { identities: 5, sessions: null } })).toEqual({
      quotas: { sessions: null, requestsPerSecond: 20_000, identities: 5, groups: null },
    });
    expect(settingsChange.parse({})).toEqual({});
  });
});

describe("reasons and close codes", () => {
  test("[E1] each reason says what to do, and each method's reasons are in the catalogue", () => {
    for (const entry of Object.values(reasons)) {
      expect(entry.remedy).toMatch(/\.$/);
      expect(entry.message).not.toBe("");
    }
    for (const entry of Object.values(methods)) {
      for (const reason of [...entry.reasons, ...commonReasons]) expect(reasons).toHaveProperty(reason);
    }
  });

  test("[E1] a refusal comes from the catalogue, with facts in details", () => {
    expect(refuse("RATE_LIMITED", { retryAfterMs: 50 })).toEqual({
      code: "RESOURCE_EXHAUSTED",
      reason: "RATE_LIMITED",
      message: "too many requests",
      retryable: true,
      retryAfterMs: 50,
    });
    expect(refuse("EPOCH_CONFLICT", { details: { epoch: 4n } })).toMatchObject({
      code: "ABORTED",
      details: { epoch: 4n },
    });
    expect(isMethodName("identity.create") && !isMethodName("toString") && !isMethodName("")).toBe(true);
  });

  test("[C2] refusals before the upgrade have the statuses of the page", () => {
    expect(httpStatusOf(refuse("SUBPROTOCOL_REQUIRED"))).toBe(400);
    expect(httpStatusOf(refuse("KEY_UNKNOWN"))).toBe(401);
    expect(httpStatusOf(refuse("KEY_REVOKED"))).toBe(403);
    expect(httpStatusOf(refuse("RATE_LIMITED"))).toBe(429);
    expect(httpStatusOf(refuse("DRAINING"))).toBe(503);
  });

  test("[C7] what to do on each close code follows from its range", () => {
    for (const { code, reconnect } of Object.values(closeCodes)) expect(shouldReconnect(code)).toBe(reconnect);
    for (const code of [1001, 1006, 1012, 1013, 4000, 4499]) expect(shouldReconnect(code)).toBe(true);
    for (const code of [1008, 1009, 4500, 4501, 4999]) expect(shouldReconnect(code)).toBe(false);
  });
});

describe("the digest of parameters", () => {
  const digest = (method: MethodName, raw: object): string => {
    const checked = checkParams(method, raw);
    if (!checked.ok) throw new Error(checked.refusal.message);
    return paramsDigest(method, checked.params);
  };

  test("[E4] is equal for equal intent and differs otherwise", () => {
    const one = digest("identity.create", { clientIdentity: bytes, tags: ["a", "b"] });
    expect(digest("identity.create", { tags: ["a", "b"], later: null, clientIdentity: bytes })).toBe(one);
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect(digest("identity.create", { clientIdentity: bytes, tags: ["b", "a"] })).not.toBe(one);
    expect(digest("identity.validate", { clientIdentity: bytes, tags: ["a", "b"] })).not.toBe(one);
    const untagged = digest("identity.create", { clientIdentity: bytes });
    expect(digest("identity.create", { clientIdentity: bytes, tags: null })).toBe(untagged);
  });

  test("[E4] [T1] a nil that lifts a limit is no absent entry", () => {
    const change = (settings: object): string => digest("application.update", { applicationId: clientId, settings });
    const one = change({ claimsPerHour: 9 });
    expect(change({ claimsPerHour: 9, keyPackageLifetimeMaxMs: null })).not.toBe(one);
    expect(change({ claimsPerHour: 9, keyPoolMax: null })).toBe(one);
  });
});

/** Lists in a schema that may be of any length. */
function endlessLists(schema: unknown, path: string): string[] {
  if (typeof schema !== "object" || schema === null || !("_zod" in schema)) return [];
  const { def } = schema._zod as { def: Record<string, unknown> };
  const checks = (def["checks"] as { _zod: { def: { check: string } } }[] | undefined) ?? [];
  const inner = [def["innerType"], def["in"], def["out"], def["element"], ...((def["options"] as unknown[]) ?? [])];
  const shape = Object.entries((def["shape"] as object | undefined) ?? {});
  const hasMost = checks.some(({ _zod }) => _zod.def.check === "max_length");
  const own = def["type"] === "array" && !hasMost ? [path] : [];
  return [
    ...own,
    ...inner.flatMap((one) => endlessLists(one, path)),
    ...shape.flatMap(([name, one]) => endlessLists(one, `${path}.${name}`)),
  ];
}

test("[G10] every list that a request brings has a length beyond which nothing of it is looked at", () => {
  expect(Object.entries(methods).flatMap(([name, { params }]) => endlessLists(params, name))).toEqual([]);
  expect(endlessLists(methods["identity.get"].result, "result")).toEqual(["result.clients", "result.clients.tags"]);
});
