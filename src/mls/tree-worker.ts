// Entry of a worker thread: judges one whole tree after the other, in the order in which they come, and answers with
// the verdict. Keeps nothing between two trees. Started by services/tree-workers.
import { parentPort } from "node:worker_threads";
import { judgeWholeTree, type WholeTreeTask } from "./whole-tree.ts";

parentPort?.on("message", (task: WholeTreeTask) => {
  void judgeWholeTree(task).then((verdict) => {
    if (verdict.kind === "refused") return parentPort?.postMessage(verdict);
    const { leaves, credentials, credentialEnds } = verdict;
    parentPort?.postMessage(verdict, [leaves.buffer, credentials.buffer, credentialEnds.buffer] as ArrayBuffer[]);
  });
});
