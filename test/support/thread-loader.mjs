// As typescript-loader.mjs, for the worker threads of a process alone: the process itself has Vitest to load our sources,
// and would pay for a loader that it does not ask.
import { isMainThread } from "node:worker_threads";

if (!isMainThread) await import("./typescript-loader.mjs");
