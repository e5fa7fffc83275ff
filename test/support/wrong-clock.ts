// A wall clock that is wrong for one process alone: libfaketime beneath it, the monotonic clock left as it is.
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";

/** @param by as libfaketime says it: `+1h`, `-1h` */
export function wrongClock(by: string): Record<string, string> {
  return { LD_PRELOAD: library(), FAKETIME: by, FAKETIME_DONT_FAKE_MONOTONIC: "1" };
}

function library(): string {
  const found = readdirSync("/usr/lib")
    .map((folder) => path.join("/usr/lib", folder, "faketime/libfaketimeMT.so.1"))
    .find((file) => existsSync(file));
  if (found === undefined) throw new Error("libfaketime is not installed");
  return found;
}
