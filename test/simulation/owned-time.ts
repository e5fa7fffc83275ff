// Takes time and randomness away from the code that runs inside a simulation (decision 16): timers, clocks and random
// bytes are the running machine's. Outside of a simulation, and for everybody else, they are what they always were.
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import timersPromises from "node:timers/promises";
import type { Machine } from "./machine.ts";
import type { SimEvent, Simulator } from "./simulator.ts";

const owned: { simulator: Simulator | undefined; installed: boolean } = { simulator: undefined, installed: false };

/** Runs `work` with time and randomness in the simulator's hands. One at a time. */
export async function owningTime<T>(simulator: Simulator, work: () => Promise<T>): Promise<T> {
  if (owned.simulator !== undefined) throw new Error("one simulation at a time");
  if (!owned.installed) install();
  owned.installed = true;
  owned.simulator = simulator;
  try {
    return await work();
  } finally {
    owned.simulator = undefined;
  }
}

/** What `setTimeout` gives out. */
class SimTimer {
  event: SimEvent | undefined;
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
  cancel(): void {
    if (this.event !== undefined) this.event.cancelled = true;
    this.event = undefined;
  }
}

type Callback = (...args: unknown[]) => unknown;

function machine(): Machine {
  const { simulator } = owned;
  if (simulator?.current === undefined) throw new Error("a timer of no machine");
  return simulator.current;
}

function startTimer(callback: Callback, ms: number | undefined, args: unknown[], repeats: boolean): SimTimer {
  const timer = new SimTimer();
  const here = machine();
  // As Node does: whole milliseconds, one at least.
  const waitMs = Math.max(1, Math.trunc(ms ?? 1) || 1);
  const label = repeats ? "interval" : "timeout";
  const plan = (): void => {
    timer.event = here.after(waitMs, "timer", label, () => {
      if (repeats) plan();
      else timer.event = undefined;
      return callback(...args);
    });
  };
  plan();
  return timer;
}

function startImmediate(callback: Callback, args: unknown[]): SimTimer {
  const timer = new SimTimer();
  timer.event = machine().after(0, "timer", "immediate", () => callback(...args));
  return timer;
}

function waitFor<T>(ms: number | undefined, value: T, options: { signal?: AbortSignal } = {}): Promise<T> {
  return new Promise((resolve, reject) => {
    const { signal } = options;
    const aborted = (): void => {
      timer.cancel();
      reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
    };
    const timer = startTimer(
      () => {
        signal?.removeEventListener("abort", aborted);
        resolve(value);
      },
      ms,
      [],
      false,
    );
    if (signal?.aborted === true) aborted();
    else signal?.addEventListener("abort", aborted, { once: true });
  });
}

function randomBuffer(simulator: Simulator, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at += 1) bytes[at] = Math.floor(simulator.random() * 256);
  return bytes;
}

function uuid(simulator: Simulator): string {
  const hex = randomBuffer(simulator, 16).toString("hex");
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/** In the simulation `inside` is called, else what was there before. */
function divert(target: object, name: string, inside: (args: unknown[], real: Callback) => unknown): void {
  const holder = target as Record<string, unknown>;
  const real = holder[name] as Callback;
  const diverted = function (this: unknown, ...args: unknown[]): unknown {
    return owned.simulator === undefined ? Reflect.apply(real, this, args) : inside(args, real);
  };
  Object.defineProperty(holder, name, { value: diverted, writable: true, configurable: true, enumerable: true });
}

/** As `divert`, for what takes no arguments and is asked all the time. */
function divertClock<N extends string>(
  target: Record<N, () => number>,
  name: N,
  inside: (simulator: Simulator) => number,
): void {
  const real = target[name].bind(target);
  const diverted = (): number => (owned.simulator === undefined ? real() : inside(owned.simulator));
  Object.defineProperty(target, name, { value: diverted, writable: true, configurable: true, enumerable: true });
}

function install(): void {
  divert(globalThis, "setTimeout", ([callback, ms, ...args]) =>
    startTimer(callback as Callback, ms as number | undefined, args, false),
  );
  divert(globalThis, "setInterval", ([callback, ms, ...args]) =>
    startTimer(callback as Callback, ms as number | undefined, args, true),
  );
  divert(globalThis, "setImmediate", ([callback, ...args]) => startImmediate(callback as Callback, args));
  for (const name of ["clearTimeout", "clearInterval", "clearImmediate"]) {
    divert(globalThis, name, ([timer]) => {
      if (timer instanceof SimTimer) timer.cancel();
    });
  }
  divert(timersPromises, "setTimeout", ([ms, value, options]) =>
    waitFor(ms as number | undefined, value, options as { signal?: AbortSignal } | undefined),
  );
  divertClock(performance, "now", (simulator) => simulator.current?.monotonicMs() ?? simulator.nowMs);
  divertClock(Date, "now", (simulator) => simulator.current?.wallMs() ?? simulator.epochMs);
  divertClock(Math, "random", (simulator) => simulator.random());
  divert(crypto, "randomBytes", ([size]) => randomBuffer(owned.simulator as Simulator, size as number));
  divert(crypto, "randomUUID", () => uuid(owned.simulator as Simulator));
  // The thread pool ends its work whenever it likes.
  divert(crypto, "verify", (args, real) => {
    const callback = args.at(-1);
    if (typeof callback !== "function") return real(...args);
    const verdict = real(...args.slice(0, -1));
    startImmediate(callback as Callback, [null, verdict]);
    return undefined;
  });
  syncBuiltinESMExports();
}
