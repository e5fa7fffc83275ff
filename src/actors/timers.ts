// The durable timers of one shard, the soonest few in memory with one clock alarm for the first.
// The store keeps them all; this never decides what a timer means.
import type { ActorKey, Timer } from "../store/store.ts";
import type { Clock } from "./store-clock.ts";

export interface ShardTimersOptions {
  readonly clock: Clock;
  /** Timers held in memory; later ones stay in the store until these have fired. */
  readonly timersMax: number;
  /**
   * Hands a due timer to its actor; the timer is kept in the store until that turn is durable. Never rejects;
   * false: the turn did not happen.
   */
  fire(timer: Timer): Promise<boolean>;
  /** Asks for the soonest timers of the shard again: `loading`, then `load`. */
  reload(): void;
}

interface Waiting {
  readonly timer: Timer;
  /** The timer's time, or later when its actor could not take it. */
  readonly dueAt: number;
}

const ALARM_MS_MAX = 60_000;
const RETRY_MS = 1_000;

export class ShardTimers {
  readonly #options: ShardTimersOptions;
  readonly #waiting = new Map<string, Waiting>();
  /** Timers whose turns are not durable yet; `superseded`: set or cleared meanwhile. */
  #firing = new Map<string, { superseded: boolean }>();
  /** Changes made while the store is read: what is read may be older than they are. */
  #held: (() => void)[] | undefined;
  /** Timers at or after this time may exist in the store only. */
  #horizonMs = Number.POSITIVE_INFINITY;
  /** No look into the store before: what was read last could not fire. */
  #reloadNotBeforeMs = 0;
  #alarm: NodeJS.Timeout | undefined;
  #alarmAtMs = 0;

  constructor(options: ShardTimersOptions) {
    this.#options = options;
  }

  /** The store is being read; `load` follows, or `stop`. */
  loading(): void {
    this.#held ??= [];
  }

  /** @param soonest the shard's soonest timers; `timersMax` of them mean that there may be more */
  load(soonest: readonly Timer[]): void {
    const before = new Map(this.#waiting);
    this.#waiting.clear();
    for (const timer of soonest) {
      const name = nameOf(timer.actor, timer.name);
      if (this.#firing.has(name)) continue;
      const known = before.get(name);
      this.#waiting.set(name, known?.timer.at === timer.at ? known : { timer, dueAt: timer.at });
    }
    const last = soonest.at(-1);
    this.#horizonMs =
      soonest.length < this.#options.timersMax || last === undefined ? Number.POSITIVE_INFINITY : last.at;
    const now = this.#options.clock.now();
    const idle = ![...this.#waiting.values()].some(({ dueAt }) => dueAt <= now);
    this.#reloadNotBeforeMs = idle ? now + RETRY_MS : 0;
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const change of held) change();
    this.#arm();
  }

  set(timer: Timer): void {
    if (this.#held !== undefined) {
      this.#held.push(() => {
        this.set(timer);
      });
      return;
    }
    const name = nameOf(timer.actor, timer.name);
    this.#supersede(name);
    if (timer.at >= this.#horizonMs) return;
    this.#waiting.set(name, { timer, dueAt: timer.at });
    if (this.#waiting.size > this.#options.timersMax) this.#dropLatest();
    // An alarm that rings too soon does no harm: only a sooner timer needs another.
    if (this.#alarm === undefined || timer.at < this.#alarmAtMs) this.#arm();
  }

  clear(actor: ActorKey, name: string): void {
    if (this.#held !== undefined) {
      this.#held.push(() => {
        this.clear(actor, name);
      });
      return;
    }
    this.#supersede(nameOf(actor, name));
  }

  stop(): void {
    clearTimeout(this.#alarm);
    this.#alarm = undefined;
    this.#waiting.clear();
    this.#firing = new Map();
    this.#held = undefined;
    this.#horizonMs = Number.POSITIVE_INFINITY;
    this.#reloadNotBeforeMs = 0;
  }

  #supersede(name: string): void {
    this.#waiting.delete(name);
    const flight = this.#firing.get(name);
    if (flight !== undefined) flight.superseded = true;
  }

  #dropLatest(): void {
    let latest: Waiting | undefined;
    for (const waiting of this.#waiting.values()) {
      if (latest === undefined || waiting.timer.at > latest.timer.at) latest = waiting;
    }
    if (latest === undefined) return;
    this.#waiting.delete(nameOf(latest.timer.actor, latest.timer.name));
    this.#horizonMs = Math.min(this.#horizonMs, latest.timer.at);
  }

  /** When the store has to be looked into again; not while timers are on their way, which it still holds. */
  #reloadAtMs(): number {
    if (this.#firing.size > 0) return Number.POSITIVE_INFINITY;
    return Math.max(this.#horizonMs, this.#reloadNotBeforeMs);
  }

  #arm(): void {
    clearTimeout(this.#alarm);
    this.#alarm = undefined;
    if (this.#held !== undefined) return;
    let soonest = this.#reloadAtMs();
    for (const [name, { dueAt }] of this.#waiting) {
      if (!this.#firing.has(name)) soonest = Math.min(soonest, dueAt);
    }
    if (soonest === Number.POSITIVE_INFINITY) return;
    this.#alarmAtMs = soonest;
    const waitMs = Math.min(Math.max(soonest - this.#options.clock.now(), 1), ALARM_MS_MAX);
    this.#alarm = setTimeout(() => {
      this.#due();
    }, waitMs);
    this.#alarm.unref();
  }

  #due(): void {
    const now = this.#options.clock.now();
    for (const [name, { timer, dueAt }] of this.#waiting) {
      if (dueAt > now || this.#firing.has(name)) continue;
      this.#waiting.delete(name);
      this.#fire(name, timer);
    }
    if (this.#reloadAtMs() <= now) this.#options.reload();
    else this.#arm();
  }

  #fire(name: string, timer: Timer): void {
    const firing = this.#firing;
    const flight = { superseded: false };
    firing.set(name, flight);
    void this.#options.fire(timer).then((done) => {
      if (this.#firing !== firing) return; // the shard was lost: the next owner reads its timers anew
      firing.delete(name);
      const dueAt = this.#options.clock.now() + RETRY_MS;
      if (!done && !flight.superseded) this.#waiting.set(name, { timer, dueAt });
      this.#arm();
    });
  }
}

function nameOf(actor: ActorKey, name: string): string {
  return `${actor}\n${name}`;
}
