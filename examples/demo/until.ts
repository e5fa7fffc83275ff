// Waits for something that events bring about. Never waits longer than the bound below.
import { setTimeout as delay } from "node:timers/promises";

const patienceMs = 60_000;

export async function until(what: string, holds: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + patienceMs;
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error(`Waited ${patienceMs} ms in vain until ${what}`);
    await delay(10);
  }
}
