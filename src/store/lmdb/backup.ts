// Backup and restore of the embedded store (GUARANTEES rule 10). A backup is one file, which no server opens by
// mistake; a restore must never bring back a lineage or a one-time part that was handed out since (P11).
import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, open, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { StoreRefused } from "../store.ts";
import { checkWholeDataFile } from "./data-file.ts";
import { Database } from "./database.ts";
import { lockFolder } from "./folder-lock.ts";
import { checkFormat } from "./meta.ts";
import { renewAllLineages } from "./ownership.ts";

/**
 * Copies the data folder `source` into the file `target`, consistently, also while a server serves from it.
 * Run it in a process of its own, as `aegis backup` does.
 * @throws StoreRefused when `source` is no data folder or `target` exists
 */
export async function backupLmdb(source: string, target: string): Promise<void> {
  if (await exists(target)) throw new StoreRefused("the backup's file exists already");
  if (!(await exists(path.join(source, "data.mdb")))) throw new StoreRefused("there is no data folder at that path");
  await inFolderBeside(target, async (folder) => {
    const database = new Database({ path: source, synced: true, readOnly: true });
    try {
      checkFormat(database);
      await database.copyTo(folder);
    } finally {
      await database.close();
    }
    await publish(path.join(folder, "data.mdb"), target);
  });
}

/**
 * Makes a data folder at `target` from a backup's file. Every shard gets a new lineage, and every part under
 * `once/` goes, before the folder can be opened.
 * @throws StoreRefused when the folder holds data already or is in use, or the file is no backup
 */
export async function restoreLmdb(source: string, target: string): Promise<void> {
  checkWholeDataFile(source);
  const lock = lockFolder(target);
  try {
    const data = path.join(target, "data.mdb");
    if ((await sizeOf(data)) > 0) throw new StoreRefused("the data folder is not empty");
    // Under a name that no server opens until the lineages are new: a restore that is killed leaves no data folder.
    await inFolderBeside(data, async (folder) => {
      await copyFile(source, path.join(folder, "data.mdb"));
      const database = new Database({ path: folder, synced: true });
      try {
        checkFormat(database);
        await database.transaction(() => renewAllLineages(database));
      } finally {
        await database.close();
      }
      await publish(path.join(folder, "data.mdb"), data);
    });
  } finally {
    lock.release();
  }
}

/** Runs `work` with a private folder on the target's own disk, and removes it. */
async function inFolderBeside(target: string, work: (folder: string) => Promise<void>): Promise<void> {
  const folder = `${target}.${randomBytes(6).toString("hex")}`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The file is on disk before its name is. */
async function publish(file: string, target: string): Promise<void> {
  await chmod(file, 0o600);
  await sync(file);
  await rename(file, target);
  await sync(path.dirname(target));
}

async function sync(target: string): Promise<void> {
  const handle = await open(target, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(target: string): Promise<boolean> {
  return (await sizeOf(target)) >= 0;
}

/** -1 when there is nothing. */
async function sizeOf(target: string): Promise<number> {
  try {
    return (await stat(target)).size;
  } catch {
    // Absent, or unreadable: what follows says which.
    return -1;
  }
}
