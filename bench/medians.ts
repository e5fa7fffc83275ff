// Of each figure of several rounds the median.

/** @throws Error when there is no round */
export function medians<Figures extends object>(rounds: readonly Figures[]): Figures {
  const [first] = rounds;
  if (first === undefined) throw new Error("nothing was measured");
  const median = (name: string): number =>
    rounds.map((round) => (round as Record<string, number>)[name] as number).sort((a, b) => a - b)[
      Math.floor(rounds.length / 2)
    ] as number;
  return Object.fromEntries(Object.keys(first).map((name) => [name, median(name)])) as Figures;
}
