// Whether a process holds a local TCP port, as Linux says it: tells a proxy who has dialled it.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export function holdsPort(pid: number, port: number): boolean {
  const inode = inodeOf(port);
  if (inode === undefined) return false;
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`);
  } catch {
    return false; // it has ended
  }
}

/** Rows of /proc/net/tcp: number, local address, remote address, state, …, the inode in tenth place. */
function inodeOf(port: number): string | undefined {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const rows = readFileSync("/proc/net/tcp", "latin1").split("\n");
  const row = rows.map((line) => line.trim().split(/\s+/)).find(([, local]) => local?.endsWith(`:${hex}`) === true);
  return row?.[9];
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // closed meanwhile
  }
}
