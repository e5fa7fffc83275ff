// Removes everything of an application from Redis: finds its keys by SCAN, because no batch should pay for
// an index that only a deletion reads. Bounded steps; running it again finishes what was left.
import type { Reply } from "./connection.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import { list, pairs, textOf } from "./replies.ts";

const SCAN_COUNT = 1000;

export async function purgeApplication(
  connection: RedisConnection,
  keys: RedisKeys,
  shardCount: number,
  applicationId: string,
): Promise<void> {
  const escaped = applicationId.replace(/[\\*?[\]]/g, "\\$&");
  for (const pattern of keys.patternsOf(escaped)) {
    await scan(connection, ["SCAN"], pattern, async (found) => {
      // One by one: the keys lie in different slots.
      await Promise.all(found.map((key) => connection.command("UNLINK", key as Buffer)));
    });
  }
  for (let shard = 0; shard < shardCount; shard += 1) {
    await scan(connection, ["ZSCAN", keys.timers(shard)], `${escaped}/*`, async (found) => {
      const members = pairs(found).map(([member]) => member as Buffer);
      if (members.length > 0) await connection.command("ZREM", keys.timers(shard), ...members);
    });
    await scan(connection, ["SSCAN", keys.once(shard)], `${escaped}/*`, async (found) => {
      if (found.length > 0) await connection.command("SREM", keys.once(shard), ...(found as Buffer[]));
    });
  }
}

async function scan(
  connection: RedisConnection,
  [command, ...key]: readonly [string, ...string[]],
  pattern: string,
  visit: (found: readonly Reply[]) => Promise<void>,
): Promise<void> {
  let cursor = "0";
  do {
    const [next, found] = list(
      await connection.command(command, ...key, cursor, "MATCH", pattern, "COUNT", SCAN_COUNT),
    );
    await visit(list(found));
    cursor = textOf(next);
  } while (cursor !== "0");
}
