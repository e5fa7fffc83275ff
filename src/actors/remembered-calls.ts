// What an actor has done before under an idempotency key, or up to an outbox number of a sender, and the answer to
// whoever asks for it again (G4, E4). Stored beside the actor for a time; kept in memory until it can be read there. Must never
// answer with what is not durable.
import { decode, encodeStored } from "../protocol/codec.ts";
import { refuse } from "../protocol/errors.ts";
import type { Mark, Operation } from "../store/store.ts";
import type { Applied, Call, Outcome } from "./actor-port.ts";
import type { HostOptions } from "./host-options.ts";
import type { LiveActor, MailboxEntry, RecentNumber, RecentResult } from "./live-actor.ts";
import { ResultTraces } from "./result-traces.ts";
import { notApplied, type ShardRunner } from "./shard-runner.ts";
import { resultMark, type Turn } from "./turn.ts";

/** How the result of an idempotency key is kept: digest, lineage, and the value in the clear or sealed. */
interface RememberedResult {
  readonly d: string;
  readonly l: string;
  readonly v?: object;
  readonly x?: Uint8Array;
}

/** The store ends a result by its own clock, which this node follows from afar. */
const CLOCK_MARGIN_MS = 60_000;

const NOTHING: Promise<undefined> = Promise.resolve(undefined);

type Options = Pick<HostOptions, "store" | "clock" | "limits" | "seal" | "open">;

export class RememberedCalls {
  readonly #options: Options;
  readonly #traces: ResultTraces;

  constructor(options: Options) {
    this.#options = options;
    this.#traces = new ResultTraces(options.limits.resultTtlMs + CLOCK_MARGIN_MS);
  }

  /** What is stored under the call's mark; undefined: nothing. */
  read(runner: ShardRunner, live: LiveActor, call: Call, name: string | undefined): Promise<Mark | undefined> {
    const { hold } = runner;
    if (name === undefined || hold === undefined || this.#isFirst(live, call, name)) return NOTHING;
    return this.#options.store.readMarksFenced(runner.shard, hold, live.key, [name]).then((marks) => marks[0]);
  }

  /** True when no result of the key can be stored: written here it would have left a trace, and nobody else could. */
  #isFirst(live: LiveActor, { key, otherwise }: Call, name: string): boolean {
    // A "no" that is no turn leaves at once: the store must have been asked whether this node still owns the shard.
    if (key === undefined || otherwise !== undefined || !live.loaded) return false;
    if (this.#options.clock.now() < live.earlierResultsUntil + CLOCK_MARGIN_MS) return false;
    return !this.#traces.has(live.key, name);
  }

  /** Repeats what an idempotency key or an outbox number has already done here. False: nothing. */
  answer(runner: ShardRunner, live: LiveActor, entry: MailboxEntry, stored: Mark | undefined): boolean {
    const { key, origin } = entry.call;
    if (origin !== undefined) {
      const reached = stored === undefined ? 0 : (decode(stored.bytes) as number);
      if (origin.number > Math.max(reached, live.received.get(origin.mark)?.number ?? 0)) return false;
      // Applied before, perhaps in a batch still on its way: "not applied" makes the sender ask again.
      entry.settle(live.unsettled > 0 ? { kind: "refused", refusal: notApplied() } : repeatedNothing());
      return true;
    }
    if (key === undefined || entry.mark === undefined) return false;
    const recent = live.recent.get(entry.mark);
    if (recent !== undefined) {
      // Not durable yet, perhaps: neither the result nor "no" may leave before it is (rule 4).
      const same = recent.digest === key.digest;
      if (same) entry.phase = "turned";
      void recent.outcome.then((outcome) => {
        entry.settle(same ? repeated(outcome) : keyReused(outcome));
      });
      return true;
    }
    if (stored === undefined) return false;
    entry.settle(this.#stored(runner, live, key.digest, stored));
    return true;
  }

  /** What calls that looked into the store before this turn was durable must still find here. */
  note(live: LiveActor, entry: MailboxEntry, turn: Turn, outcome: Promise<Outcome>): { forgetAfter?: number }[] {
    const { key, origin } = entry.call;
    if (turn.refusal !== undefined) return [];
    if (origin !== undefined) {
      const recent: RecentNumber = { number: origin.number };
      // Put anew, so that it stands behind all that become durable before it.
      live.received.delete(origin.mark);
      live.received.set(origin.mark, recent);
      return [recent];
    }
    if (key === undefined || entry.mark === undefined) return [];
    const recent: RecentResult = { digest: key.digest, outcome };
    live.recent.set(entry.mark, recent);
    return [recent];
  }

  /** What is stored with the turn, so that it is found again. @param now epoch milliseconds */
  operations(runner: ShardRunner, live: LiveActor, entry: MailboxEntry, turn: Turn, now: number): Operation[] {
    const { limits, seal } = this.#options;
    const { key, origin } = entry.call;
    const { mark: name } = entry;
    const operations: Operation[] = [];
    if (turn.refusal !== undefined || name === undefined) return operations;
    if (key !== undefined) {
      const { lineage } = runner;
      const expiresAt = now + limits.resultTtlMs;
      this.#traces.leave(live.key, name);
      live.resultsUntil = Math.max(live.resultsUntil ?? 0, expiresAt);
      operations.push({
        op: "putMark",
        actor: live.key,
        name,
        bytes: encodeStored(
          key.secret === true
            ? { d: key.digest, l: lineage, x: seal(encodeStored(turn.reply)) }
            : { d: key.digest, l: lineage, v: turn.reply },
        ),
        takes: turn.takes,
        expiresAt,
      });
    }
    if (origin !== undefined) {
      const bytes = encodeStored(origin.number);
      operations.push({ op: "putMark", actor: live.key, name, bytes, expiresAt: now + limits.receivedTtlMs });
    }
    return operations;
  }

  #stored(runner: ShardRunner, live: LiveActor, digest: string, mark: Mark): Outcome {
    const result = decode(mark.bytes) as RememberedResult;
    if (result.d !== digest) return { kind: "refused", refusal: refuse("KEY_REUSED") };
    return {
      kind: "applied",
      value: result.x === undefined ? (result.v ?? {}) : decode(this.#options.open(result.x)),
      taken: mark.taken,
      lineage: result.l,
      repeated: true,
      settled: runner.settled(live.key),
    };
  }
}

/** Where a call is remembered. */
export function markOfCall({ key, origin }: Call): string | undefined {
  return key === undefined ? origin?.mark : resultMark(key.key);
}

/** The key belongs to another request, if that one came to anything. */
function keyReused(first: Outcome): Outcome {
  return { kind: "refused", refusal: first.kind === "applied" ? refuse("KEY_REUSED") : notApplied() };
}

function repeated(outcome: Outcome): Outcome {
  return outcome.kind === "applied" ? { ...outcome, repeated: true } : outcome;
}

function repeatedNothing(): Applied {
  return { kind: "applied", value: {}, taken: [], lineage: "", repeated: true, settled: Promise.resolve(true) };
}
