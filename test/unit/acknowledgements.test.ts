import { expect, it } from "vitest";
import { refuse } from "../../src/protocol/errors.ts";
import { Acknowledgements } from "../../src/services/acknowledgements.ts";
import type { StreamPosition } from "../../src/services/stream-directory.ts";

interface Write {
  readonly clientId: string;
  readonly position: StreamPosition;
  answer(retryable?: boolean): void;
}

function world() {
  const writes: Write[] = [];
  const acknowledgements = new Acknowledgements(
    {
      acknowledge: (_, clientId, position) =>
        new Promise((resolve) => {
          writes.push({
            clientId,
            position,
            answer: (retryable) => {
              if (retryable === undefined) resolve({ kind: "done" });
              else resolve({ kind: "refused", refusal: refuse(retryable ? "STORE_UNAVAILABLE" : "LINEAGE_CHANGED") });
            },
          });
        }),
    },
    { acknowledgeDelayMs: 1 },
  );
  const until = async (count: number): Promise<void> => {
    const deadline = Date.now() + 5000;
    while (writes.length < count && Date.now() < deadline) {
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
    }
    expect(writes).toHaveLength(count);
  };
  return { writes, acknowledgements, until };
}

const at = (offset: number, lineage = "l"): StreamPosition => ({ lineage, offset });

it("[S7] writes the newest position of an inbox, one write of it at a time", async () => {
  const { writes, acknowledgements, until } = world();
  for (const offset of [1, 3, 2]) acknowledgements.add("a", "c", at(offset));
  acknowledgements.add("a", "d", at(9));
  await until(2);
  expect(writes.map(({ position }) => position.offset)).toEqual([3, 9]);
  acknowledgements.add("a", "c", at(5));
  acknowledgements.add("a", "c", at(4));
  writes[1]?.answer();
  writes[0]?.answer();
  await until(3);
  expect(writes[2]).toMatchObject({ clientId: "c", position: at(5) });
  writes[2]?.answer();
  await acknowledgements.flush();
  expect(writes).toHaveLength(3);
});

it("[S7] tries again after an outage, with what is newest then, and drops what is refused for good", async () => {
  const { writes, acknowledgements, until } = world();
  acknowledgements.add("a", "c", at(1));
  await until(1);
  writes[0]?.answer(true);
  acknowledgements.add("a", "c", at(2));
  await until(2);
  expect(writes[1]?.position).toEqual(at(2));
  writes[1]?.answer(false);
  await acknowledgements.flush();
  expect(writes).toHaveLength(2);
});

it("[S7] takes the position of a new lineage whatever its offset", async () => {
  const { writes, acknowledgements, until } = world();
  acknowledgements.add("a", "c", at(100));
  acknowledgements.add("a", "c", at(1, "new"));
  await until(1);
  expect(writes[0]?.position).toEqual(at(1, "new"));
});

it("[S7] writes what is left when the node stops", async () => {
  const { writes, acknowledgements } = world();
  acknowledgements.add("a", "c", at(1));
  const flushed = acknowledgements.flush();
  writes[0]?.answer();
  await flushed;
  expect(writes).toHaveLength(1);
});
