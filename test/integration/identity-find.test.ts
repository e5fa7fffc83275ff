// identity.find over the wire against a naive model: random filters, cursors, and changes in between.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppWorld, basicCredential, refusal, type TestApplication } from "../support/app-world.ts";
import { randomFrom, seedOf } from "../support/seed.ts";

const CLIENTS = 330;
const TAGS = ["group:a", "group:b", "geräte/1", "role=mod", "role=user", "x", "y", "z", "rare", "t".repeat(256)];

interface Filter {
  readonly all?: string[];
  readonly any?: string[];
  readonly none?: string[];
}

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application();
});
afterAll(() => world.stop());

function matches({ all = [], any = [], none = [] }: Filter, tags: ReadonlySet<string>): boolean {
  return (
    all.every((tag) => tags.has(tag)) &&
    (any.length === 0 || any.some((tag) => tags.has(tag))) &&
    !none.some((tag) => tags.has(tag))
  );
}

async function findAll(filter: Filter, limit: number): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await app.client.identity.find({ ...filter, limit, ...(cursor === undefined ? {} : { cursor }) });
    expect(page.clients.length).toBeLessThanOrEqual(limit);
    found.push(...page.clients.map(({ clientId }) => clientId));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return found;
}

describe("identity.find", () => {
  test("finds exactly what a naive model finds, page by page, right after each change", async () => {
    const random = randomFrom(seedOf("identity.find"));
    const below = (n: number): number => Math.floor(random() * n);
    const some = (chance: number): string[] => TAGS.filter((_, n) => random() < (n === 8 ? 0.02 : chance));
    const model = new Map<string, Set<string>>();
    const drawn = Array.from({ length: CLIENTS }, () => some(0.35));
    const records = await Promise.all(
      drawn.map((tags, n) =>
        app.client.identity.create({ clientIdentity: basicCredential(`client ${String(n)}`), tags }),
      ),
    );
    records.forEach(({ clientId }, n) => model.set(clientId, new Set(drawn[n])));
    const check = async (filter: Filter, limit: number): Promise<void> => {
      const expected = [...model].filter(([, tags]) => matches(filter, tags)).map(([clientId]) => clientId);
      const found = await findAll(filter, limit);
      expect(found.length, JSON.stringify(filter)).toBe(new Set(found).size);
      expect([...found].sort(), JSON.stringify(filter)).toEqual(expected.sort());
    };
    for (let round = 0; round < 60; round += 1) {
      const filter = { all: some(0.15), any: some(0.15), none: some(0.1) };
      if (filter.all.length + filter.any.length > 0) await check(filter, 1 + below(round % 2 === 0 ? 40 : 1000));
      const clientId = [...model.keys()][below(model.size)] ?? "";
      if (random() < 0.2) {
        await app.client.identity.delete({ clientId });
        model.delete(clientId);
      } else {
        const tags = some(0.35);
        await app.client.identity.update({ clientId, tags: { set: tags } });
        model.set(clientId, new Set(tags));
      }
    }
    await check({ any: TAGS }, 1000);
    await check({ all: ["x"] }, 1);
  }, 60_000);

  test("a filter without all and any is FILTER_EMPTY, another method's cursor is CURSOR_INVALID", async () => {
    for (const filter of [{}, { none: ["x"] }, { all: [], any: [] }]) {
      const error = await refusal(app.client.identity.find(filter));
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "FILTER_EMPTY" });
    }
    const page = await app.client.identity.find({ any: TAGS, limit: 1 });
    expect(page.cursor).toBeDefined();
    const other = await refusal(app.client.identity.find({ any: TAGS, cursor: "xyz" }));
    expect(other).toMatchObject({ code: "INVALID_ARGUMENT", reason: "CURSOR_INVALID" });
    expect((await refusal(app.client.identity.find({ any: [""] }))).reason).toBe("BAD_PARAMS");
    expect((await refusal(app.client.identity.find({ any: ["t".repeat(257)] }))).reason).toBe("BAD_PARAMS");
  });
});
