// docs/CAPACITY.md as figures: what each row says that it takes from docs/BENCHMARKS.md, and what its formulas make of
// it. Writes the page anew from them; whoever compares it with the page finds what has drifted.
import { runInNewContext } from "node:vm";

/** Rows whose figure is the reader's own to choose begin their last cell so. */
const ASSUMED = "assumed";
const STEP = " › ";

/** The page with every measured input, every result and every commit as the benchmarks have them now. */
export function recomputed(page: string, benchmarks: string): string {
  const values = new Map<string, number>();
  return page
    .split("\n")
    .map((line) => {
      const cells = cellsOf(line);
      const name = /^`(\w+)`$/.exec(cells[0] ?? "")?.[1];
      const section = /^\[(.+)\]\(BENCHMARKS\.md/.exec(cells[0] ?? "")?.[1];
      if (section !== undefined) return row([cells[0] as string, madeAt(benchmarks, section)]);
      if (name === undefined || cells.length !== 4) return line;
      const [, second, third, fourth] = cells as [string, string, string, string];
      const formula = /^`(.+)`$/.exec(second)?.[1];
      const value =
        formula !== undefined
          ? evaluated(formula, values)
          : fourth.startsWith(ASSUMED)
            ? numberOf(second)
            : measured(benchmarks, fourth);
      values.set(name, value);
      return formula === undefined
        ? row([`\`${name}\``, shown(value), third, fourth])
        : row([`\`${name}\``, `\`${formula}\``, shown(value), fourth]);
    })
    .join("\n");
}

/** Without what only lines the columns up. */
export function unaligned(page: string): string {
  return page.replace(/ *\| */g, "|").replace(/-{3,}/g, "---");
}

function measured(benchmarks: string, source: string): number {
  const [section = "", table = "", label = "", column = "", nth = "1"] = source.split(STEP);
  const lines = sectionOf(benchmarks, section).split("\n");
  if (table === "text") {
    const found = new RegExp(`(\\d[\\d,.]*) ${label}`).exec(lines.join("\n"))?.[1];
    if (found === undefined) throw new Error(`docs/BENCHMARKS.md does not say what ${source} is`);
    return numberOf(found);
  }
  let header: string[] = [];
  for (const [n, line] of lines.entries()) {
    const cells = cellsOf(line);
    if (/^\|[\s:|-]+\|$/.test(lines[n + 1] ?? "")) header = cells;
    if (cells[0] !== label || (header[0] || "—") !== table) continue;
    const cell = cells[header.indexOf(column)] ?? "";
    const found = [...cell.matchAll(/-?\d[\d,]*(?:\.\d+)?/g)][Number(nth) - 1]?.[0];
    if (found !== undefined) return numberOf(found);
  }
  throw new Error(`docs/BENCHMARKS.md has no ${source}`);
}

function madeAt(benchmarks: string, section: string): string {
  const commit = /^- Commit: (.+)$/m.exec(sectionOf(benchmarks, section))?.[1];
  const load = /^- Load average before the run: (.+)$/m.exec(sectionOf(benchmarks, section))?.[1];
  if (commit === undefined || load === undefined)
    throw new Error(`the section ${section} does not say when it was made`);
  return `${commit}; load ${load}`;
}

function sectionOf(benchmarks: string, title: string): string {
  const found = benchmarks.split(/^(?=## )/m).find((section) => section.startsWith(`## ${title}\n`));
  if (found === undefined) throw new Error(`docs/BENCHMARKS.md has no section ${title}`);
  return found;
}

function evaluated(formula: string, values: ReadonlyMap<string, number>): number {
  const { ceil, max, min } = Math;
  const readable = formula.replaceAll("×", "*").replaceAll("−", "-");
  const value: unknown = runInNewContext(readable, { ...Object.fromEntries(values), ceil, max, min });
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Error(`no number: ${formula}`);
  return value;
}

function cellsOf(line: string): string[] {
  if (!line.startsWith("|")) return [];
  return line
    .slice(1, line.lastIndexOf("|"))
    .split("|")
    .map((cell) => cell.trim());
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function numberOf(text: string): number {
  return Number(text.replaceAll(",", ""));
}

function shown(value: number): string {
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 2;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}
