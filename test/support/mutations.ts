// Seeded damage to bytes: flips, cuts, insertions, copies, hostile lengths. Prints nothing; the test prints the seed.

/** A small deterministic generator (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const HOSTILE = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff];

export function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  let mutant = Uint8Array.from(bytes);
  const rounds = 1 + Math.floor(random() * 3);
  for (let round = 0; round < rounds; round++) mutant = mutateOnce(mutant, random);
  return mutant;
}

function mutateOnce(bytes: Uint8Array, random: () => number): Uint8Array<ArrayBuffer> {
  const mutant = Uint8Array.from(bytes);
  const at = Math.floor(random() * Math.max(1, mutant.length));
  const hostile = HOSTILE[Math.floor(random() * HOSTILE.length)] as number;
  switch (Math.floor(random() * 6)) {
    case 0:
      if (mutant.length > 0) mutant[at] = (mutant[at] as number) ^ (1 << Math.floor(random() * 8));
      return mutant;
    case 1:
      return mutant.slice(0, at);
    case 2:
      if (mutant.length > 0) mutant[at] = hostile;
      return mutant;
    case 3:
      return Uint8Array.from([...mutant.subarray(0, at), hostile, ...mutant.subarray(at)]);
    case 4: {
      const from = Math.floor(random() * Math.max(1, mutant.length));
      mutant.copyWithin(at, from, from + 1 + Math.floor(random() * 64));
      return mutant;
    }
    default:
      return Uint8Array.from([...mutant.subarray(0, at), ...mutant.subarray(at + 1 + Math.floor(random() * 8))]);
  }
}

/** Damage that keeps the length, and so leaves most structures readable. */
export function overwrite(bytes: Uint8Array, random: () => number): Uint8Array {
  const mutant = Uint8Array.from(bytes);
  const rounds = 1 + Math.floor(random() * 2);
  for (let round = 0; round < rounds && mutant.length > 0; round++) {
    const at = Math.floor(random() * mutant.length);
    const flip = random() < 0.5;
    mutant[at] = flip ? (mutant[at] as number) ^ (1 << Math.floor(random() * 8)) : Math.floor(random() * 256);
  }
  return mutant;
}

/** The beginning of one and the end of another. */
export function splice(one: Uint8Array, other: Uint8Array, random: () => number): Uint8Array {
  const head = one.subarray(0, Math.floor(random() * one.length));
  return Uint8Array.from([...head, ...other.subarray(Math.floor(random() * other.length))]);
}
