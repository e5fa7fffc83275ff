// Turns a caught error into what a log may hold: its name, code, frames and causes. Its message only where
// we, or the system, wrote it: a decoder's message may quote the bytes that it was given.

export interface ErrorDescription {
  readonly name: string;
  readonly code?: string;
  readonly message?: string;
  readonly frames?: readonly string[];
  readonly cause?: ErrorDescription;
}

const OWN_ERRORS: ReadonlySet<string> = new Set([
  "StoreUnavailable",
  "StoreRefused",
  "Fenced",
  "SecretsRefused",
  "CertificateRefused",
  "ListenRefused",
  "AssertionError",
]);
const FRAMES_MAX = 12;
const CAUSES_MAX = 4;

export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { name: typeof error };
  const { code, syscall } = error as NodeJS.ErrnoException;
  const frames = (error.stack ?? "").split("\n").filter((line) => /^ {4}at /.test(line));
  return {
    name: error.name,
    ...(code !== undefined && { code }),
    ...((OWN_ERRORS.has(error.name) || syscall !== undefined) && { message: error.message }),
    ...(frames.length > 0 && { frames: frames.slice(0, FRAMES_MAX).map((line) => line.trim()) }),
    ...(error.cause !== undefined && depth < CAUSES_MAX && { cause: describeError(error.cause, depth + 1) }),
  };
}
