import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkParams } from "../../src/protocol/check-params.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { methods, type MethodName } from "../../src/protocol/methods.ts";
import { paramsDigest } from "../../src/protocol/params-digest.ts";
import { fieldsOf } from "../../src/protocol/document/type-notation.ts";

const seed = Number(process.env["AEGIS_SEED"] ?? Date.now() % 2 ** 31);
const names = Object.keys(methods) as MethodName[];
const secret = "correct-horse-battery-staple";

const uuid = fc.uuid().map((text) => text.toLowerCase());
const leaf = fc.oneof(
  uuid,
  fc.uint8Array({ maxLength: 40 }),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -5n, max: 2n ** 64n - 1n }),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(null, "", secret, "start", "now", "client", "group", "ordering", "members", "basic"),
);
const key = fc.oneof(
  fc.constantFrom(
    "clientId",
    "tags",
    "all",
    "any",
    "kind",
    "id",
    "after",
    "epoch",
    "lineage",
    "offset",
    "type",
    secret,
  ),
  fc.string({ maxLength: 10 }),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(key, tie("value"), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

/** Parameters with the right names and anything at all behind them. */
function nearParams(method: MethodName): fc.Arbitrary<unknown> {
  const fields = fieldsOf(methods[method].params).map(({ name }) => name);
  const some = fc.dictionary(fc.constantFrom(...fields, "other"), value, { noNullPrototype: true });
  return fc.oneof(value, some);
}

describe(`parameters (seed ${seed})`, () => {
  test.each(names)(
    "[F22] [E2] %s takes or refuses anything, by its path and without a word of its values",
    (method) => {
      fc.assert(
        fc.property(nearParams(method), (raw) => {
          const outcome = checkParams(method, raw);
          if (outcome.ok) {
            // What was taken is plain data that stays as it is.
            expect(checkParams(method, decode(encode(outcome.params)))).toEqual(outcome);
            return;
          }
          const { message, details, ...refusal } = outcome.refusal;
          expect(refusal).toEqual({ code: "INVALID_ARGUMENT", reason: "BAD_PARAMS", retryable: false });
          expect(typeof details?.["path"]).toBe("string");
          expect(message).not.toContain(secret);
        }),
        { seed, numRuns: 150 },
      );
    },
  );

  test("[E4] the digest does not see map order, absent entries or integer formats", () => {
    const map = fc.dictionary(key, value, { maxKeys: 6, noNullPrototype: true });
    fc.assert(
      fc.property(map, (params) => {
        // No schema knows this name, so no checked params hold it; the decoder renames it to make it harmless.
        fc.pre(!inspect(params, { depth: 20 }).includes("__proto__"));
        const digest = paramsDigest("identity.update", params);
        const turned = Object.fromEntries([["zzz", undefined], ...Object.entries(params).reverse()]);
        expect(paramsDigest("identity.update", turned)).toBe(digest);
        expect(paramsDigest("identity.update", decode(encode(params)))).toBe(digest);
        expect(paramsDigest("identity.create", params)).not.toBe(digest);
      }),
      { seed, numRuns: 300 },
    );
  });
});
