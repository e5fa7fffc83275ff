import { expect, it } from "vitest";
import { splitWelcomes, welcomesToInboxes, wholeWelcomes } from "../../src/services/split-welcomes.ts";

/** The variable-length header of RFC 9420 §2.1.2, as short as it must be. */
function vector(bytes: Uint8Array): Buffer {
  const { length } = bytes;
  if (length < 64) return Buffer.concat([Buffer.from([length]), bytes]);
  if (length < 16_384) return Buffer.concat([Buffer.from([0x40 | (length >> 8), length & 0xff]), bytes]);
  const header = Buffer.alloc(4);
  header.writeUInt32BE((length | 0x80000000) >>> 0);
  return Buffer.concat([header, bytes]);
}

function refOf(recipient: number): Buffer {
  const ref = Buffer.alloc(32);
  ref.writeUInt32BE(recipient);
  return ref;
}

/** A Welcome whose secrets are as small as can be. */
function welcome(recipients: number, groupInfoBytes: number): Uint8Array {
  const secrets = Array.from({ length: recipients }, (_, n) =>
    Buffer.concat([Buffer.from([32]), refOf(n), Buffer.from([1, 7]), Buffer.from([1, 8])]),
  );
  const head = Buffer.from([0, 1, 0, 3, 0, 1]);
  return new Uint8Array(Buffer.concat([head, vector(Buffer.concat(secrets)), vector(Buffer.alloc(groupInfoBytes, 1))]));
}

it("[M4] each recipient gets its own secrets and the group info", () => {
  const split = splitWelcomes([welcome(3, 10)], 1);
  expect(split.kind === "welcomes" && [...split.byRef.keys()]).toEqual([0, 1, 2].map((n) => refOf(n).toString("hex")));
});

it("what several inboxes have in common is given once; a Welcome for one inbox is whole", () => {
  const split = splitWelcomes([welcome(3, 10)], 1);
  if (split.kind === "refused") throw new Error("refused");
  const recipients = [...split.byRef.values()].map((addressed, n) => ({ clientId: `c${String(n)}`, addressed }));
  const { added, sharedWelcomes } = welcomesToInboxes(split, recipients);
  expect(sharedWelcomes).toEqual([{ of: 0, encryptedGroupInfo: new Uint8Array(10).fill(1) }]);
  expect(added.map((one) => "shared" in one && !("welcome" in one))).toEqual([true, true, true]);
  const alone = welcomesToInboxes(split, recipients.slice(0, 1));
  expect(alone.sharedWelcomes).toEqual([]);
  const whole = wholeWelcomes(split, [...split.byRef.values()].slice(0, 1));
  expect(whole.kind === "whole" && alone.added[0]).toEqual({
    clientId: "c0",
    ...(whole.kind === "whole" ? whole.welcomes[0] : {}),
  });
});

it("[G10] Welcomes that would be copied more often than memory holds are refused before the first copy", () => {
  const bytes = welcome(50_000, 2 * 1024 * 1024);
  expect(bytes.length).toBeLessThan(4 * 1024 * 1024 + 100);
  const before = process.memoryUsage().arrayBuffers;
  const began = performance.now();
  const split = splitWelcomes([bytes], 1);
  if (split.kind === "refused") throw new Error("refused");
  const whole = wholeWelcomes(split, [...split.byRef.values()]);
  expect(whole.kind === "refused" && whole.refusal).toMatchObject({
    reason: "BAD_PARAMS",
    details: { path: "welcomes" },
  });
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
});

it("[G10] splitting costs a step a recipient, not a look at all of them", () => {
  const began = performance.now();
  const split = splitWelcomes([welcome(50_000, 100)], 1);
  expect(split.kind === "welcomes" && split.byRef.size).toBe(50_000);
  expect(performance.now() - began).toBeLessThan(5_000);
});
