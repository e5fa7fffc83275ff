// Runs one of our TypeScript files as a process of its own and reads what it prints, line by line.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";

const loader = path.join(import.meta.dirname, "typescript-loader.mjs");

export class TypescriptProcess {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #errors = "";
  #ended = false;

  /** @param wrapper what runs node, if not node itself: strace with its arguments, say */
  constructor(file: string, args: readonly string[], wrapper: readonly string[] = []) {
    const [command, ...rest] = [...wrapper, process.execPath, "--import", loader, file, ...args] as [
      string,
      ...string[],
    ];
    this.#child = spawn(command, rest, { stdio: ["ignore", "pipe", "pipe"] });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error("no pipes");
    createInterface({ input: stdout }).on("line", (line) => {
      this.lines.push(line);
      this.#wake();
    });
    stderr.on("data", (data: Buffer) => (this.#errors = (this.#errors + data.toString()).slice(-4000)));
    this.#child.once("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** The first line that begins with `start`; throws when the process ends without it. */
  async line(start: string): Promise<string> {
    return this.until(() => this.lines.find((line) => line.startsWith(start)));
  }

  async until<T>(read: () => T | undefined): Promise<T> {
    for (;;) {
      const found = read();
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`the process ended: ${this.lines.slice(-5).join(" | ")} ${this.#errors}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  async end(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#ended) return;
    const closed = once(this.#child, "close");
    this.#child.kill(signal);
    await closed;
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
