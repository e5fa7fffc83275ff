// A history whose credentials are long is told in parts; what a turn adds meanwhile is told in a later one.
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { encode } from "../../src/protocol/codec.ts";
import { pastIdentities } from "../../src/services/identity-history.ts";
import type { Request } from "../../src/services/request-port.ts";
import type { Store } from "../../src/store/store.ts";

const CREDENTIAL_BYTES = 60_000;
const PAST = 100;
/** Those that bring an answer to 2 MiB. */
const TOLD_AT_ONCE = Math.ceil(2_097_152 / (CREDENTIAL_BYTES + 128));

const client = { applicationId: randomUUID(), kind: "identity" as const, id: randomUUID() };

function nameOf(n: number): string {
  return `history/${String(n + 1).padStart(10, "0")}`;
}

const stored = Array.from({ length: PAST }, (_, n) => ({
  name: nameOf(n),
  bytes: encode({
    credential: Buffer.alloc(CREDENTIAL_BYTES, n).toString("base64"),
    handle: String(n),
    from: n,
    until: n + 1,
  }),
}));

const store = {
  shardCount: 1,
  listParts: (_shard: number, _actor: string, { after = "", limit }: { after?: string; limit: number }) =>
    Promise.resolve(stored.filter(({ name }) => name > after).slice(0, limit)),
} as unknown as Store;
const ports = { store, turn: () => Promise.resolve() };

function told(after: string, deadline = Infinity) {
  return pastIdentities(ports, { deadline } as Request, client, after);
}

it("[G10] each identity is told once, in order, and no answer holds more than about 2 MiB of them", async () => {
  const handles: string[] = [];
  const sizes: number[] = [];
  for (let after: string | undefined = ""; after !== undefined;) {
    const answer = await told(after);
    if (answer.kind === "refused") throw new Error(answer.refusal.reason);
    handles.push(...answer.past.map(({ handle }) => handle));
    sizes.push(answer.past.length);
    after = answer.last;
  }
  expect(handles).toEqual(Array.from({ length: PAST }, (_, n) => String(n)));
  expect(sizes).toEqual([TOLD_AT_ONCE, TOLD_AT_ONCE, PAST - 2 * TOLD_AT_ONCE]);
});

it("[E3] a history that nobody waits for any more is read no further", async () => {
  expect(await told(nameOf(PAST), 0)).toMatchObject({ kind: "refused", refusal: { reason: "DEADLINE_EXCEEDED" } });
});
