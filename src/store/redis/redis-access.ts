// Where the store's commands go: the connections to one primary, or those to each primary of a cluster.
import type { Argument, Reply } from "./connection.ts";
import type { ScriptName } from "./scripts.ts";

/** Commands on keys of one slot are executed in the order in which they were sent; others in any order. */
export interface RedisAccess {
  /** Runs a script, whose keys all lie in one slot; one round trip. @throws StoreUnavailable */
  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply>;
  /** Runs a command on a key. @throws StoreUnavailable */
  command(name: string, key: string | Buffer, ...args: readonly Argument[]): Promise<Reply>;
  /** Runs a command that names no key where the key lies. @throws StoreUnavailable */
  commandAt(key: string, name: string, ...args: readonly Argument[]): Promise<Reply>;
  /** Resolves when all that was sent before has been executed. @throws StoreUnavailable */
  settled(): Promise<void>;
  /** Each server that keys lie on, once. */
  primaries(): readonly RedisAccess[];
  /** @throws StoreRefused, StoreUnavailable after the time given */
  open(timeoutMs: number): Promise<void>;
  /** What is still unanswered fails with StoreUnavailable. */
  close(): Promise<void>;
}
