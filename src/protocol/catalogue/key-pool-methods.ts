// The key pool service: every method with its scope, schemas and reasons.
import * as keyPool from "../schemas/key-pool.ts";
import { method } from "./method-entry.ts";

export const keyPoolMethods = {
  "keyPool.publish": method(keyPool.keyPoolPublish, {
    scope: "keyPool",
    mutates: true,
    reasons: ["CLIENT_NOT_FOUND", "STATE_MOVED"],
    summary:
      "Publishes KeyPackages, each judged by itself (index -1 is the last resort). `reset` empties the label's queues in the same atomic step. A package sent again while unclaimed is in `accepted` and changes nothing. `available` does not count the last resort.",
  }),
  "keyPool.claim": method(keyPool.keyPoolClaim, {
    scope: "keyPool",
    mutates: true,
    reasons: ["TOO_MANY_TARGETS", "FILTER_EMPTY"],
    summary:
      "Takes one KeyPackage for each client named or found by a filter, at most 1,000 clients. The first suite in order that has one; the soonest to expire first; never one that expires within a minute. A one-time package goes out once.",
  }),
  "keyPool.status": method(keyPool.keyPoolStatus, {
    scope: "keyPool",
    mutates: false,
    reasons: [],
    summary: "How full the queues of up to 1,000 clients are.",
  }),
  "keyPool.list": method(keyPool.keyPoolList, {
    scope: "keyPool",
    mutates: false,
    reasons: ["CLIENT_NOT_FOUND"],
    summary: "What a client's pool holds.",
  }),
  "keyPool.remove": method(keyPool.keyPoolRemove, {
    scope: "keyPool",
    mutates: true,
    reasons: ["CLIENT_NOT_FOUND"],
    summary: "Takes packages out of a pool, by ref or all of them.",
  }),
};
