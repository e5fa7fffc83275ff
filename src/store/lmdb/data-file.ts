// Looks at a data file before the lmdb library does: on bytes that are no database of its own the library
// ends the process, and reading past the end of a cut file does too.
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { StoreRefused } from "../store.ts";

const MAGIC = 0xbe_ef_c0_de;
const VERSION = 2;
// The layout of a meta page: a page header, then magic, version, address, map size, and two tree records, the
// first of which begins with the page size.
const META_AT = 24;
const PAGE_SIZE_AT = META_AT + 24;
const LAST_PAGE_AT = PAGE_SIZE_AT + 2 * 48;
const TRANSACTION_AT = LAST_PAGE_AT + 8;
const META_BYTES = TRANSACTION_AT + 8;

/** @throws StoreRefused unless the file is empty or begins like a database */
export function checkDataFile(file: string): void {
  if (statSync(file).size > 0) readMeta(file, 0);
}

/** @throws StoreRefused unless the file is a whole database */
export function checkWholeDataFile(file: string): void {
  const first = readMeta(file, 0);
  const second = readMeta(file, first.pageBytes);
  const newest = second.transaction > first.transaction ? second : first;
  const bytes = (newest.lastPage + 1) * first.pageBytes;
  if (statSync(file).size < bytes) throw new StoreRefused("the data file is cut short");
}

function readMeta(
  file: string,
  at: number,
): { readonly pageBytes: number; readonly lastPage: number; readonly transaction: number } {
  const bytes = Buffer.alloc(META_BYTES);
  const descriptor = openSync(file, "r");
  try {
    readSync(descriptor, bytes, 0, META_BYTES, at);
  } finally {
    closeSync(descriptor);
  }
  if (bytes.readUInt32LE(META_AT) !== MAGIC || bytes.readUInt32LE(META_AT + 4) !== VERSION) {
    throw new StoreRefused("the data file is no database that this version reads");
  }
  return {
    pageBytes: bytes.readUInt32LE(PAGE_SIZE_AT),
    lastPage: Number(bytes.readBigUInt64LE(LAST_PAGE_AT)),
    transaction: Number(bytes.readBigUInt64LE(TRANSACTION_AT)),
  };
}
