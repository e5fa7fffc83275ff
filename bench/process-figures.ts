// What a process has used so far, from /proc, and what a folder takes on disk. Linux only.
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

/** Linux counts in these whatever its own clock does (USER_HZ). */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
const BLOCK_BYTES = 512;

/** User and system time of all its threads, microseconds. */
export function cpuMicrosOf(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
  // The command's name, in parentheses, may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return (ticks * 1_000_000) / TICKS_PER_SECOND;
}

export function residentBytesOf(pid: number): number {
  return Number(readFileSync(`/proc/${String(pid)}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES;
}

export function diskBytesOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => statSync(path.join(folder, name)))
    .reduce((bytes, found) => bytes + (found.isFile() ? found.blocks * BLOCK_BYTES : 0), 0);
}
