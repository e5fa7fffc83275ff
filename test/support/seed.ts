// Randomness that can be had again: the seed is printed, and AEGIS_SEED brings it back.

export function seedOf(name: string): number {
  const seed = Number(process.env["AEGIS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`${name}: AEGIS_SEED=${String(seed)}`);
  return seed;
}

/** Mulberry32: numbers in [0, 1). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
