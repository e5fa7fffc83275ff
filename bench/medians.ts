// Of each figure of several rounds the median, or the lower quartile.

/** @throws Error when there is no round */
export function medians<Figures extends object>(rounds: readonly Figures[]): Figures {
  return quantiles(rounds, 1 / 2);
}

/** For processor time: what else the machine does meanwhile only ever adds to it. @throws Error when there is no round */
export function lowerQuartiles<Figures extends object>(rounds: readonly Figures[]): Figures {
  return quantiles(rounds, 1 / 4);
}

function quantiles<Figures extends object>(rounds: readonly Figures[], share: number): Figures {
  const [first] = rounds;
  if (first === undefined) throw new Error("nothing was measured");
  const quantile = (name: string): number =>
    rounds.map((round) => (round as Record<string, number>)[name] as number).sort((a, b) => a - b)[
      Math.floor(rounds.length * share)
    ] as number;
  return Object.fromEntries(Object.keys(first).map((name) => [name, quantile(name)])) as Figures;
}
