import { expect, test } from "vitest";
import { parseRedisUrl } from "../../src/store/redis/redis-url.ts";
import { StoreRefused } from "../../src/store/store.ts";

const nobody = { username: undefined, password: undefined, db: 0, tls: false };

test.each([
  ["redis://cache", { ...nobody, route: { kind: "server", host: "cache", port: 6379 } }],
  [
    "rediss://app:s%40fe@cache:7000/3",
    { username: "app", password: "s@fe", db: 3, tls: true, route: { kind: "server", host: "cache", port: 7000 } },
  ],
  ["redis://[::1]:1", { ...nobody, route: { kind: "server", host: "::1", port: 1 } }],
  [
    "redis+sentinel://one/main",
    { ...nobody, route: { kind: "sentinel", sentinels: [{ host: "one", port: 26_379 }], primaryName: "main" } },
  ],
  [
    "rediss+sentinel://:s%40fe@one:1,[::1]:2,three/main.db-1/12",
    {
      username: undefined,
      password: "s@fe",
      db: 12,
      tls: true,
      route: {
        kind: "sentinel",
        sentinels: [
          { host: "one", port: 1 },
          { host: "::1", port: 2 },
          { host: "three", port: 26_379 },
        ],
        primaryName: "main.db-1",
      },
    },
  ],
  ["redis+cluster://one", { ...nobody, route: { kind: "cluster", seeds: [{ host: "one", port: 6379 }] } }],
  [
    "rediss+cluster://app:s%40fe@one:1,[::1]:2,three/",
    {
      username: "app",
      password: "s@fe",
      db: 0,
      tls: true,
      route: {
        kind: "cluster",
        seeds: [
          { host: "one", port: 1 },
          { host: "::1", port: 2 },
          { host: "three", port: 6379 },
        ],
      },
    },
  ],
])("%s is read", (url, address) => {
  expect(parseRedisUrl(url)).toEqual(address);
});

test.each([
  "redis://",
  "http://cache",
  "redis://cache/x",
  "redis://cache/1/2",
  "redis://cache?s3cret=1",
  "redis+sentinel://one",
  "redis+sentinel://one/",
  "redis+sentinel:///main",
  "redis+sentinel://one,,two/main",
  "redis+sentinel://one:s3cret/main",
  "redis+sentinel://one/main/x",
  "redis+sentinel://one/main?s3cret",
  "redis+sentinel://a:s3cret@one,b:s3cret@two/main",
  "redis+sentinel://one/ma in",
  "redis+http://one/main",
  "redis+cluster://",
  "redis+cluster://one/1",
  "redis+cluster://one,,two",
  "redis+cluster://one:s3cret",
  "redis+cluster://one?s3cret",
  "redis+cluster://a:s3cret@one,b:s3cret@two",
])("[G10] %s is refused, and never repeated", (url) => {
  let refusal: unknown;
  try {
    parseRedisUrl(url);
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toBeInstanceOf(StoreRefused);
  expect(String(refusal)).not.toMatch(/s3cret/);
});
