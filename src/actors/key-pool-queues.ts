// The names under which a key pool keeps its packages: one name says suite, label, expiry and ref, so
// that the directory of names alone decides what is handed out and what is forgotten. Pure.
import type { Directory, Effect } from "./effects.ts";

/** One package as its name tells it. */
export interface QueuedPackage {
  readonly name: string;
  readonly ciphersuite: number;
  /** Hex of the label's UTF-8 bytes. */
  readonly labelHex: string;
  readonly notAfter: number;
  readonly refHex: string;
  /** Hashes (hex, shortened) of init key and encryption key: none may come twice. */
  readonly keyHashes: readonly string[];
}

export type QueueKind = "once" | "last";

/** Never handed out when it expires within this time. */
export const EXPIRY_MARGIN_MS = 60_000;

export function queuePrefix(kind: QueueKind, ciphersuite: number, labelHex: string): string {
  return `${kind}/${String(ciphersuite)}/${labelHex}/`;
}

export function packageName(
  kind: QueueKind,
  { ciphersuite, labelHex, notAfter, refHex, keyHashes }: Omit<QueuedPackage, "name">,
): string {
  return `${queuePrefix(kind, ciphersuite, labelHex)}${paddedTime(notAfter)}/${refHex}/${keyHashes.join("/")}`;
}

export function parsePackageName(name: string): QueuedPackage {
  const [, ciphersuite, labelHex = "", notAfter, refHex = "", ...keyHashes] = name.split("/");
  return { name, ciphersuite: Number(ciphersuite), labelHex, notAfter: Number(notAfter), refHex, keyHashes };
}

/** The soonest to expire that may still be handed out. */
export function firstUsable(
  directory: Directory,
  kind: QueueKind,
  ciphersuite: number,
  labelHex: string,
  now: number,
): QueuedPackage | undefined {
  const prefix = queuePrefix(kind, ciphersuite, labelHex);
  const name = directory.first(prefix, `${prefix}${paddedTime(now + EXPIRY_MARGIN_MS + 1)}`);
  return name === undefined ? undefined : parsePackageName(name);
}

/** Packages of a queue that may still be handed out. */
export function usableIn(names: readonly string[], now: number): QueuedPackage[] {
  return names.map(parsePackageName).filter((queued) => queued.notAfter > now + EXPIRY_MARGIN_MS);
}

export function labelToHex(label: string): string {
  return Buffer.from(label, "utf8").toString("hex");
}

export function labelFromHex(labelHex: string): string {
  return Buffer.from(labelHex, "hex").toString("utf8");
}

/** Part that says of a last resort, for as long as it stands, that it was handed out. */
export function handedOutPart(refHex: string): string {
  return `out/${refHex}`;
}

/** Packages go. The keys of those that were never handed out may come again. */
export function dropEffects(directory: Directory, names: readonly string[]): Effect[] {
  return names.flatMap((name): Effect[] => {
    const { refHex, keyHashes } = parsePackageName(name);
    const handedOut = handedOutPart(refHex);
    return [
      { type: "deletePart", name },
      ...(directory.has(handedOut)
        ? [{ type: "deletePart" as const, name: handedOut }]
        : keyHashes.map((hash) => ({ type: "deleteMark" as const, name: keyMark(hash) }))),
    ];
  });
}

/** Mark of a package that was handed out. */
export function usedMark(refHex: string): string {
  return `used/${refHex}`;
}

/** Mark of a key that a package of this pool brought; it holds the package's ref, but where an older node wrote it. */
export function keyMark(keyHash: string): string {
  return `pk/${keyHash}`;
}

function paddedTime(ms: number): string {
  return String(Math.min(ms, Number.MAX_SAFE_INTEGER)).padStart(16, "0");
}
