// Holds a data folder for one process (GUARANTEES rule 10, F25) with a lock of the operating system,
// which a kill -9 releases: must never decide by a pid, which may have been given to another process.
import { spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { StoreRefused } from "../store.ts";

const LOCK_FILE = "process.lock";
/** flock's own answer to "somebody else has it" with -E. */
const HELD = 75;

export interface FolderLock {
  release(): void;
}

/** @throws StoreRefused when something else is in its place, or on the way to it */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === "EEXIST" || code === "ENOTDIR" ? "a file stands there, or on the way to it" : (code ?? "unknown");
    throw new StoreRefused(`${path} can't be made a data folder: ${why}`, { cause: error });
  }
}

/** @throws StoreRefused when another process holds the folder, naming its pid. */
export function lockFolder(path: string): FolderLock {
  makeFolder(path);
  const file = join(path, LOCK_FILE);
  const descriptor = openSync(file, "a+", 0o600);
  // Node has no flock(2). A lock taken by a child on an inherited descriptor belongs to the open file,
  // which this process keeps open after the child has gone.
  const child = spawnSync("flock", ["-n", "-x", "-E", String(HELD), "3"], {
    stdio: ["ignore", "ignore", "ignore", descriptor],
  });
  if (child.status !== 0) {
    const holder = readFileSync(file, "utf8").trim();
    closeSync(descriptor);
    if (child.status === HELD) throw new StoreRefused(`the data folder is in use by process ${holder || "unknown"}`);
    throw new StoreRefused("the data folder can't be locked: the flock command (util-linux) is needed", {
      cause: child.error,
    });
  }
  ftruncateSync(descriptor);
  writeSync(descriptor, `${process.pid}\n`);
  return { release: () => closeSync(descriptor) };
}
