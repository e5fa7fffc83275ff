// Removes everything of an application from Redis: finds its keys by SCAN, because no batch should pay for
// an index that only a deletion reads. Bounded steps; running it again finishes what was left.
import type { Argument, Reply } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisAccess } from "./redis-access.ts";
import { list, pairs, textOf } from "./replies.ts";

const SCAN_COUNT = 1000;

export async function purgeApplication(
  redis: RedisAccess,
  keys: RedisKeys,
  shardCount: number,
  applicationId: string,
): Promise<void> {
  // A batch still on its way over another connection would write what is gone again.
  await redis.settled();
  const escaped = applicationId.replace(/[\\*?[\]]/g, "\\$&");
  for (const pattern of keys.patternsOf(escaped)) {
    for (const primary of redis.primaries()) {
      await scan(
        (...args) => primary.commandAt("", "SCAN", ...args),
        pattern,
        async (found) => {
          // One by one: the keys lie in different slots.
          await Promise.all(found.map((key) => redis.command("UNLINK", key as Buffer)));
        },
      );
    }
  }
  for (let shard = 0; shard < shardCount; shard += 1) {
    await scan(
      (...args) => redis.command("ZSCAN", keys.timers(shard), ...args),
      `${escaped}/*`,
      async (found) => {
        const members = pairs(found).map(([member]) => member as Buffer);
        if (members.length > 0) await redis.command("ZREM", keys.timers(shard), ...members);
      },
    );
    await scan(
      (...args) => redis.command("SSCAN", keys.once(shard), ...args),
      `${escaped}/*`,
      async (found) => {
        if (found.length > 0) await redis.command("SREM", keys.once(shard), ...(found as Buffer[]));
      },
    );
  }
}

async function scan(
  next: (...args: readonly Argument[]) => Promise<Reply>,
  pattern: string,
  visit: (found: readonly Reply[]) => Promise<void>,
): Promise<void> {
  let cursor = "0";
  do {
    const [following, found] = list(await next(cursor, "MATCH", pattern, "COUNT", SCAN_COUNT));
    await visit(list(found));
    cursor = textOf(following);
  } while (cursor !== "0");
}
