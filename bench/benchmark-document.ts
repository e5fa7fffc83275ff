// docs/BENCHMARKS.md: a section a benchmark, each written by its own run and by no other. A figure stands with what
// its run was: the machine is shared and says something else tomorrow.

export interface BenchResult {
  /** Of the benchmark's section. */
  readonly title: string;
  readonly command: string;
  /** The section, in Markdown, without its heading. */
  readonly text: string;
}

export interface Circumstances {
  readonly machine: string;
  readonly commit: string;
  readonly date: string;
  /** Load average of the last minute before the run began, by the number of processors. */
  readonly load: string;
}

const HEAD = `# Benchmarks

Written by \`npm run bench -- NAME --write\`; not by hand. Each section is of one run, on the machine and the commit that it
names, with the load generator, the server and the store on the same processors. Compare columns and ratios, not figures
of other days.
`;

/** The document with that section anew, behind the others where it was not there before. */
export function withSection(document: string, { title, command, text }: BenchResult, at: Circumstances): string {
  const section = `## ${title}

- Command: \`${command}\`
- Machine: ${at.machine}
- Load average before the run: ${at.load}
- Commit: \`${at.commit}\`, ${at.date}

${text.trim()}
`;
  const sections = document.split(/^(?=## )/m).slice(1);
  const known = sections.findIndex((found) => found.startsWith(`## ${title}\n`));
  const all = known < 0 ? [...sections, section] : sections.with(known, section);
  return [HEAD, ...all].map((part) => `${part.trim()}\n`).join("\n");
}
