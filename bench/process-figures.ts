// What a process has used so far, from /proc, and what a folder takes on disk. Linux only.
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

const PAGE_BYTES = 4096;
const BLOCK_BYTES = 512;

/** User and system time of all its threads that live, microseconds. */
export function cpuMicrosOf(pid: number): number {
  const threads = `/proc/${String(pid)}/task`;
  const nanos = (thread: string): number =>
    Number(readFileSync(`${threads}/${thread}/schedstat`, "utf8").split(" ")[0]);
  return readdirSync(threads).reduce((sum, thread) => sum + nanos(thread), 0) / 1000;
}

export function residentBytesOf(pid: number): number {
  return Number(readFileSync(`/proc/${String(pid)}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES;
}

export function diskBytesOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => statSync(path.join(folder, name)))
    .reduce((bytes, found) => bytes + (found.isFile() ? found.blocks * BLOCK_BYTES : 0), 0);
}
