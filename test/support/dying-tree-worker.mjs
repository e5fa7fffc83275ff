// A tree worker that ends at its first tree: by itself, with an error, or for want of memory, as the tree's byte says.
import { parentPort } from "node:worker_threads";

parentPort?.on("message", ({ groupInfo: [how] }) => {
  if (how === 0) process.exit(1);
  if (how === 1) throw new Error("a worker that fails");
  if (how === 2) {
    const hoard = [];
    for (;;) hoard.push(new Array(1_000_000).fill(hoard.length));
  }
  parentPort?.postMessage({ kind: "refused", rule: "TREE_HASH", section: "7.8", message: "alive", of: "tree" });
});
