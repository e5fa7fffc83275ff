// Actors whose whole history was lost under load (FLUSHALL): what was answered before must be one history, and after it
// nobody may be answered out of what is no more. There is no log left to compare with but what a subscriber was given.
import { groupFlaws, poolFlaws, type LogEntry } from "./history-checker.ts";
import { groupModel } from "./history-models.ts";
import type { Operation } from "./history.ts";
import { findOrder } from "./linearizability.ts";

/** Between these two times (monotonic) everything was lost. */
export interface Loss {
  readonly beginMs: number;
  readonly endMs: number;
}

export function lostGroupFlaws(operations: readonly Operation[], seen: readonly LogEntry[], loss: Loss): string[] {
  const before = operations.filter(({ invokedMs }) => invokedMs < loss.endMs).map((each) => settled(each, loss));
  const offsets = new Map(seen.map(({ id, offset }) => [id, offset]));
  // What was applied and not answered may have been seen all the same.
  const known = before.map((operation): Operation => {
    const offset = offsets.get(String(operation.input["id"]));
    if (operation.outcome.kind !== "unknown" || offset === undefined) return operation;
    return { ...operation, outcome: { kind: "result", facts: { offset } } };
  });
  const covered = known.filter(({ outcome }) => isAtMost(outcome, seen.length));
  const flaws = [...staleAnswers(operations, loss), ...groupFlaws(covered, seen, [seen])];
  const verdict = findOrder(groupModel({ epoch: 0, offset: 0 }), known);
  if (verdict.kind === "impossible") flaws.push(`[G4] no order: ${JSON.stringify(verdict.stuck.slice(0, 2))}`);
  return flaws;
}

export function lostPoolFlaws(operations: readonly Operation[], loss: Loss): string[] {
  const before = operations.filter(({ invokedMs }) => invokedMs < loss.endMs).map((each) => settled(each, loss));
  // That packages are gone is no flaw here.
  const doubled = poolFlaws(before, []).filter((flaw) => !flaw.startsWith("[G3]"));
  return [...doubled, ...staleAnswers(operations, loss)];
}

/**
 * "There is no such thing", said during the loss, is true then and says nothing about the time before: the call may have
 * been applied, seen by a subscriber and lost before its answer, and the retry finds nothing.
 */
function settled(operation: Operation, { beginMs }: Loss): Operation {
  const isLate = operation.answeredMs >= beginMs && operation.outcome.kind === "refused";
  return isLate ? { ...operation, outcome: { kind: "unknown" } } : operation;
}

function isAtMost(outcome: Operation["outcome"], offset: number): boolean {
  return outcome.kind !== "result" || Number(outcome.facts["offset"] ?? 0) <= offset;
}

/** Neither "done" nor a "no" that knows an epoch or an offset. */
function staleAnswers(operations: readonly Operation[], { endMs }: Loss): string[] {
  return operations.flatMap(({ name, invokedMs, outcome }) => {
    if (invokedMs < endMs) return [];
    const knows = outcome.kind === "result" || (outcome.kind === "refused" && Object.keys(outcome.facts).length > 0);
    return knows ? [`[G4] ${name} was answered out of a history that was lost: ${JSON.stringify(outcome)}`] : [];
  });
}
