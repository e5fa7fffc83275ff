// What the host of actors tells the operator of those that it could not run: counted, and logged where a person should know.
// Never receives what an actor holds.
import type { Logger } from "pino";
import { Counter, Gauge, type Registry } from "prom-client";
import { Seldom } from "./seldom.ts";

export function actorEvents(log: Logger, registry: Registry) {
  const registers = [registry];
  const failed = new Counter({
    name: "aegis_actor_failures_total",
    help: "Actors stopped by a defect, by kind.",
    labelNames: ["kind"],
    registers,
  });
  const tooNew = new Counter({
    name: "aegis_snapshots_too_new_total",
    help: "Times an actor was left alone because a newer version of the server wrote it, by kind.",
    labelNames: ["kind"],
    registers,
  });
  const live = new Gauge({ name: "aegis_actors", help: "Actors in memory.", registers });
  // Whoever calls such an actor asks again and again.
  const newer = new Seldom();
  return {
    actorFailed(kind: string, cause: unknown) {
      failed.inc({ kind });
      log.error({ kind, err: cause }, "bug: an actor was stopped");
    },
    snapshotTooNew(shard: number, kind: string, versions: { readonly written: number; readonly known: number }) {
      tooNew.inc({ kind });
      const unsaid = newer.due(shard);
      if (unsaid === undefined) return;
      log.warn(
        { shard, kind, ...versions, unsaid },
        "a newer version of the server wrote this shard: left to a node of that version",
      );
    },
    actorsLive: (count: number) => live.set(count),
  };
}
