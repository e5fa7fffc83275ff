// How the command `aegis` ends when it did not do what it was asked for.

/** The command line, or a setting, can't be understood. */
export const EXIT_USAGE = 2;
export const EXIT_REFUSED = 1;

/** Says why; what still runs may end first. */
export function fail(message: string, code: number): void {
  process.stderr.write(`aegis: ${message}\n`);
  process.exitCode = code;
}
