// Turns without a host: each message takes its turn in the group's machine, what it leaves is encoded, and the store's
// driver writes it, a batch for each. No mailbox, no deadline, nobody looked up or remembered, nothing gathered: what no
// actor host can do without.
import { LiveActor } from "../src/actors/live-actor.ts";
import { machineCatalogue } from "../src/actors/machine-catalogue.ts";
import type { Command } from "../src/actors/actor-port.ts";
import { resultMark, takeTurn } from "../src/actors/turn.ts";
import { encodeStored } from "../src/protocol/codec.ts";
import type { ActorKey, Fence, Operation, Store } from "../src/store/store.ts";
import { claimAll, RESULT_TTL_MS } from "./driver-floor.ts";
import { measured, type Rate } from "./rates.ts";

const LINEAGE = "0123456789abcdef0123456789abcdef";
const DIGEST = LINEAGE + LINEAGE;

interface Shard {
  readonly fence: Fence;
  readonly live: LiveActor;
  readonly command: Command;
  sequence: number;
}

export class BareTurns {
  readonly #store: Store;
  readonly #shards: readonly Shard[];
  #keys = 0;

  private constructor(store: Store, shards: readonly Shard[]) {
    this.#store = store;
    this.#shards = shards;
  }

  /**
   * One of the groups on each shard of a store of one's own.
   * @param founded what founding the groups has written
   */
  static async open(
    store: Store,
    founded: readonly Operation[],
    groups: readonly { readonly actor: ActorKey; readonly command: Command }[],
  ): Promise<BareTurns> {
    const fences = await claimAll(store);
    const shards = groups.slice(0, fences.length).map(async ({ actor, command }, n): Promise<Shard> => {
      const fence = fences[n] as Fence;
      const own = founded.filter((operation) => "actor" in operation && operation.actor === actor);
      const outcome = await store.commit(n, fence, 1, own);
      if (outcome.kind !== "applied") throw new Error(`a group can't be copied: ${outcome.kind}`);
      const live = new LiveActor(actor, machineCatalogue.group);
      const snapshot = own.findLast((operation) => operation.op === "putSnapshot");
      live.start({ snapshot: snapshot?.bytes, names: [] }, LINEAGE);
      return { fence, live, command, sequence: 1 };
    });
    return new BareTurns(store, await Promise.all(shards));
  }

  send(forMs: number): Promise<Rate> {
    return measured(forMs, async (isTime, sent) => {
      const run = async (shard: Shard, n: number): Promise<void> => {
        while (isTime()) {
          shard.sequence += 1;
          const outcome = await this.#store.commit(n, shard.fence, shard.sequence, this.#turn(shard));
          if (outcome.kind !== "applied") throw new Error(`a turn was ${outcome.kind}`);
          sent(1);
        }
      };
      await Promise.all(this.#shards.map(run));
    });
  }

  #turn({ live, command }: Shard): Operation[] {
    const now = Date.now();
    const turn = takeTurn(live, command, { now, lineage: LINEAGE, directory: live.directory });
    if (turn.refusal !== undefined) throw new Error(JSON.stringify(turn.refusal));
    this.#keys += 1;
    const name = resultMark(`${DIGEST.slice(0, 36)}-${String(this.#keys)}`);
    const bytes = encodeStored({ d: DIGEST, l: LINEAGE, v: turn.reply });
    return [
      ...turn.operations,
      { op: "putMark", actor: live.key, name, bytes, takes: turn.takes, expiresAt: now + RESULT_TTL_MS },
      { op: "putSnapshot", actor: live.key, bytes: live.encodeSnapshot() },
    ];
  }
}
