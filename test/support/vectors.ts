// The MLS working group's test vectors: read from ../shared/vectors or AEGIS_VECTORS, never copied here.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.env["AEGIS_VECTORS"] ?? join(import.meta.dirname, "../../../shared/vectors");

/** False: the tests that need vectors are skipped, and say so. */
export const vectorsPresent = existsSync(folder);

export const vectorsAbsentNote = vectorsPresent ? "" : ` (skipped: no vectors at ${folder}; set AEGIS_VECTORS)`;

export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(join(folder, name), "utf8")) as T;
}

export function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
