// Looks at a data file before the lmdb library does: on bytes that are no database of its own the library
// ends the process, and reading past the end of a cut file does too.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { StoreRefused } from "../store.ts";

const MAGIC = 0xbe_ef_c0_de;
const VERSION = 2;
const HEADER_BYTES = 24;
// The layout of a meta page: a page header, then magic, version, address, map size, and two tree records, the
// first of which is that of the free pages: it begins with the page size and ends with its root.
const META_AT = HEADER_BYTES;
const PAGE_SIZE_AT = META_AT + 24;
const FREE_ROOT_AT = PAGE_SIZE_AT + 40;
const LAST_PAGE_AT = PAGE_SIZE_AT + 2 * 48;
const TRANSACTION_AT = LAST_PAGE_AT + 8;
const META_BYTES = TRANSACTION_AT + 8;
const PAGE_BYTES = { min: 512, max: 65_536 };
// A page of a tree: a header with flags and the end of the list of its nodes, the list, the nodes.
const FLAGS_AT = 18;
const LIST_END_AT = 20;
const BRANCH = 0x01;
const LEAF = 0x02;
const NODE_BYTES = 8;
/** A node's data lies on pages of its own. */
const BIG = 0x01;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;
const TREE_DEPTH_MAX = 32;
const LIVE_LOOKS = 3;

interface Meta {
  readonly pageBytes: number;
  readonly freeRoot: bigint;
  readonly lastPage: number;
  readonly transaction: number;
}

/** The file ends before what it says of itself. */
class Cut extends StoreRefused {
  constructor() {
    super("the data file is cut short");
  }
}

/** @throws StoreRefused unless the file is empty or begins like a database: one that is written to meanwhile, say */
export function checkDataFileBegins(file: string): void {
  withDataFile(file, (data) => data.bytes === 0 || data.newest());
}

/**
 * Another process may write to it meanwhile. Whoever asks holds a snapshot of it: what a newer database in it needs is
 * not written over until that is let go.
 * @throws StoreRefused unless the file has all of its newest database
 */
export function checkLiveDataFile(file: string): void {
  withDataFile(file, (data) => {
    // A record of which half was read before it was written, and half after, says anything: the next look finds another.
    for (let look = 0; look < LIVE_LOOKS; look += 1) {
      const newest = data.newest();
      // Its length is asked for only now: it grows before a record says so.
      if (data.again().isWhole(newest)) return;
    }
    throw new Cut();
  });
}

/**
 * Nobody may write to it meanwhile.
 * @param synced false: after a crash of the host the library goes back to the last commit that was synced
 * @throws StoreRefused unless the file is a whole database
 */
export function checkWholeDataFile(file: string, synced = true): void {
  withDataFile(file, (data) => {
    const first = data.meta(0);
    const second = data.meta(first.pageBytes);
    const newest = data.newest();
    if (data.isWhole(newest)) return;
    const oldest = newest === first ? second : first;
    const flushed = data.findMeta(first.pageBytes / 2);
    if (synced || ![oldest, flushed].some((meta) => meta !== undefined && data.isWhole(meta))) throw new Cut();
  });
}

function withDataFile(file: string, look: (data: DataFile) => unknown): void {
  const descriptor = openSync(file, "r");
  try {
    look(new DataFile(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

class DataFile {
  readonly bytes: number;
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new StoreRefused("the data file is no file");
    this.bytes = stats.size;
  }

  /** The same file, as long as it is now. */
  again(): DataFile {
    return new DataFile(this.#descriptor);
  }

  newest(): Meta {
    const first = this.meta(0);
    const second = this.meta(first.pageBytes);
    return second.transaction > first.transaction ? second : first;
  }

  meta(at: number): Meta {
    const meta = this.findMeta(at);
    if (meta === undefined) throw new StoreRefused("the data file is no database that this version reads");
    return meta;
  }

  findMeta(at: number): Meta | undefined {
    if (at + META_BYTES > this.bytes) return undefined;
    const bytes = this.#read(at, META_BYTES);
    if (bytes.readUInt32LE(META_AT) !== MAGIC || bytes.readUInt32LE(META_AT + 4) !== VERSION) return undefined;
    const pageBytes = bytes.readUInt32LE(PAGE_SIZE_AT);
    if (pageBytes < PAGE_BYTES.min || pageBytes > PAGE_BYTES.max) return undefined;
    return {
      pageBytes,
      freeRoot: bytes.readBigUInt64LE(FREE_ROOT_AT),
      lastPage: Number(bytes.readBigUInt64LE(LAST_PAGE_AT)),
      transaction: Number(bytes.readBigUInt64LE(TRANSACTION_AT)),
    };
  }

  /** The library does not write free pages: a file may lack those at its end, and no others. */
  isWhole({ pageBytes, freeRoot, lastPage }: Meta): boolean {
    const pages = Math.floor(this.bytes / pageBytes);
    let missing = lastPage + 1 - pages;
    if (missing <= 0) return true;
    if (freeRoot === NO_PAGE) return false;
    try {
      for (const [start, count] of this.#freePages(Number(freeRoot), pageBytes, TREE_DEPTH_MAX)) {
        missing -= Math.max(0, Math.min(start + count, lastPage + 1) - Math.max(start, pages));
      }
    } catch (error) {
      if (error instanceof Cut) return false;
      throw error;
    }
    return missing <= 0;
  }

  /** Runs of free pages, as the tree of them lists them. @throws Cut */
  *#freePages(page: number, pageBytes: number, depth: number): Generator<readonly [start: number, count: number]> {
    const bytes = this.#read(page * pageBytes, pageBytes);
    const flags = bytes.readUInt16LE(FLAGS_AT);
    const listEnd = HEADER_BYTES + bytes.readUInt16LE(LIST_END_AT);
    if ((flags & (BRANCH | LEAF)) === 0 || depth === 0 || listEnd > pageBytes) throw new Cut();
    for (let at = HEADER_BYTES; at < listEnd; at += 2) {
      const node = bytes.subarray(HEADER_BYTES + bytes.readUInt16LE(at));
      if (node.length < NODE_BYTES) throw new Cut();
      if ((flags & BRANCH) !== 0) yield* this.#freePages(node.readUIntLE(0, 6), pageBytes, depth - 1);
      else yield* runsOf(this.#dataOf(node, pageBytes));
    }
  }

  #dataOf(node: Buffer, pageBytes: number): Buffer {
    const dataAt = NODE_BYTES + node.readUInt16LE(6);
    const dataBytes = node.readUInt32LE(0);
    if ((node.readUInt16LE(4) & BIG) === 0) return node.subarray(dataAt, dataAt + dataBytes);
    if (dataAt + 8 > node.length) throw new Cut();
    return this.#read(Number(node.readBigUInt64LE(dataAt)) * pageBytes + HEADER_BYTES, dataBytes);
  }

  #read(at: number, length: number): Buffer {
    if (at + length > this.bytes) throw new Cut();
    const bytes = Buffer.alloc(length);
    readSync(this.#descriptor, bytes, 0, length, at);
    return bytes;
  }
}

/** A list of pages: how many entries, then a page each, or minus a count and the first page of so many. */
function* runsOf(list: Buffer): Generator<readonly [start: number, count: number]> {
  const entries = Math.min(Number(list.readBigInt64LE(0)), list.length / 8 - 1);
  for (let index = 1; index <= entries; index += 1) {
    const entry = Number(list.readBigInt64LE(index * 8));
    if (entry > 0) yield [entry, 1];
    if (entry >= 0 || index === entries) continue;
    index += 1;
    yield [Number(list.readBigInt64LE(index * 8)), -entry];
  }
}
