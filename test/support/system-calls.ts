// What a process asked of the system, in its order, from strace: who wrote what where, and which syncs had
// returned by then. Judges nothing but that order.
import { readFileSync } from "node:fs";

/** Runs a command under strace and writes its calls to `file`; the process keeps its own pid (-D). */
export function straceInto(file: string, options: { readonly syncDelayMs: number }): string[] {
  const syncs = ["fdatasync", "fsync", "msync"];
  const writes = ["write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg"];
  const delayUs = String(options.syncDelayMs * 1000);
  return [
    ...["strace", "-D", "-f", "-qq", "-yy", "-s", "100000", "-o", file],
    ...["-e", "signal=none", "-e", `trace=${[...syncs, ...writes, "openat"].join(",")}`],
    ...["-e", `inject=${syncs.join(",")}:delay_exit=${delayUs}`],
  ];
}

/** Runs a command on a disk that takes so much longer for each sync; a line a sync goes to `file`. */
export function slowSyncsInto(file: string, syncDelayMs: number): string[] {
  const inject = ["-e", "trace=fdatasync", "-e", `inject=fdatasync:delay_exit=${String(syncDelayMs * 1000)}`];
  return ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", file, ...inject];
}

interface SystemCall {
  readonly name: string;
  /** The file's path or the socket's ends. */
  readonly target: string;
  text: string;
  /** Through a descriptor that was opened with O_DSYNC. */
  readonly synced: boolean;
  /** Place among all beginnings and ends. */
  readonly began: number;
  ended: number;
}

export function readSystemCalls(file: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const unreturned = new Map<string, SystemCall>();
  const syncing = new Set<string>();
  for (const [at, line] of readFileSync(file, "latin1").split("\n").entries()) {
    const resumed = /^(\d+) +<\.\.\. \w+ resumed>(.*)$/s.exec(line);
    const begun = /^(\d+) +(\w+)\((\d+)<(.*?)>[,) ](.*)$/s.exec(line);
    const opened = /O_DSYNC.* = (\d+)</.exec(line)?.[1];
    if (opened !== undefined) syncing.add(opened);
    if (resumed !== null) {
      const call = unreturned.get(resumed[1] as string);
      if (call !== undefined) Object.assign(call, { text: call.text + (resumed[2] as string), ended: at });
      unreturned.delete(resumed[1] as string);
    } else if (begun !== null) {
      const [, pid, name, fd, target, text] = begun as unknown as [string, string, string, string, string, string];
      const unfinished = text.endsWith("<unfinished ...>");
      const call = {
        name,
        target,
        text,
        synced: syncing.has(fd),
        began: at,
        ended: unfinished ? Number.POSITIVE_INFINITY : at,
      };
      calls.push(call);
      if (unfinished) unreturned.set(pid, call);
    }
  }
  return calls;
}

/** How the bytes that carry `marker` got to the disk and their answer to the wire. */
export interface SyncQuestion {
  readonly marker: string;
  /** In the path of the file that must be synced. */
  readonly file: string;
  /** Answers go to sockets of this port. */
  readonly port: number;
  /** The answer carries the marker too; else it is the first one after the write. */
  readonly answerMarked: boolean;
  /** The synced pages count only once a header points to them, written through a descriptor that syncs by itself. */
  readonly header: boolean;
}

/** Why the answer did not wait for the disk; undefined when it did. */
export function flawOfSync(calls: readonly SystemCall[], question: SyncQuestion): string | undefined {
  const { marker, file, port, answerMarked, header } = question;
  const onDisk = calls.filter(({ target }) => target.includes(file));
  const write = onDisk.find(({ name, text }) => name.includes("write") && text.includes(marker));
  if (write === undefined) return "it was never written";
  const answer = calls.find(({ name, target, began, text }) => {
    if (!/write|send/.test(name) || !target.startsWith("TCP") || !target.includes(`:${String(port)}->`)) return false;
    return answerMarked ? text.includes(marker) : began > write.began;
  });
  if (answer === undefined) return "it was never answered";
  if (answer.began < write.began) return "it was answered before it was written";
  const inTime = (after: SystemCall) => (call: SystemCall) => call.began > after.began && call.ended < answer.began;
  const sync = onDisk.filter(inTime(write)).find(({ name }) => name.includes("sync"));
  if (sync === undefined) return "it was answered before a sync of it had returned";
  if (!header) return undefined;
  const pointed = onDisk.filter(inTime(sync)).some(({ name, synced }) => name.includes("write") && synced);
  return pointed ? undefined : "it was answered before the header that points to it was synced";
}
