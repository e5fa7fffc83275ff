// What must hold of every history, looked up in one pass: one commit an epoch, each package once, logs without holes,
// what was acknowledged is there, nothing twice, nothing that was refused, nothing out of order. Pure: lists flaws.
import type { Operation } from "./history.ts";

export interface LogEntry {
  readonly offset: number;
  readonly type: string;
  /** Of the message, as its sender named it. */
  readonly id: string;
}

/** @param seen what each subscriber was given of the log, in that order */
export function groupFlaws(
  operations: readonly Operation[],
  log: readonly LogEntry[],
  seen: readonly (readonly LogEntry[])[],
): string[] {
  return [
    ...holes(log, "the log"),
    ...losses(operations, log),
    ...strangers(operations, log),
    ...winners(operations, log),
    ...reordered(operations),
    ...seen.flatMap((entries, n) => missed(entries, log, `subscriber ${n}`)),
  ];
}

function holes(entries: readonly LogEntry[], whose: string): string[] {
  const at = entries.findIndex(({ offset }, n) => offset !== n + 1);
  return at < 0 ? [] : [`[G5] ${whose} has ${entries[at]?.offset ?? 0} where ${at + 1} is due`];
}

function losses(operations: readonly Operation[], log: readonly LogEntry[]): string[] {
  const byOffset = new Map(log.map((entry) => [entry.offset, entry]));
  return operations.flatMap(({ name, input, outcome }) => {
    if (outcome.kind !== "result" || (name !== "commit" && name !== "send")) return [];
    const { offset } = outcome.facts;
    if (byOffset.get(Number(offset))?.id === input["id"]) return [];
    return [`[G3] the ${name} acknowledged at ${offset} is not there`];
  });
}

/** Each entry is of one operation that may have been applied, and once. */
function strangers(operations: readonly Operation[], log: readonly LogEntry[]): string[] {
  const byId = new Map(operations.map((operation) => [operation.input["id"], operation]));
  const met = new Set<string>();
  return log.flatMap(({ id, offset }) => {
    const outcome = byId.get(id)?.outcome;
    if (met.has(id)) return [`[G6] the entry at ${offset} is there twice`];
    met.add(id);
    if (outcome === undefined) return [`nobody sent the entry at ${offset}`];
    if (outcome.kind === "result" || outcome.kind === "unknown") return [];
    return [`[G6] the entry at ${offset} was answered ${outcome.kind} (${outcome.reason})`];
  });
}

function winners(operations: readonly Operation[], log: readonly LogEntry[]): string[] {
  const flaws: string[] = [];
  const acknowledged = new Map<unknown, unknown>();
  const epochOf = new Map<unknown, unknown>();
  for (const { name, input, outcome } of operations) {
    if (name !== "commit") continue;
    epochOf.set(input["id"], input["epoch"]);
    if (outcome.kind !== "result") continue;
    if (acknowledged.has(input["epoch"])) flaws.push(`[G1] two commits were acknowledged for epoch ${input["epoch"]}`);
    acknowledged.set(input["epoch"], input["id"]);
  }
  const commits = log.filter(({ type }) => type === "commit");
  for (const [epoch, { id, offset }] of commits.entries()) {
    if (epochOf.get(id) === epoch) continue;
    flaws.push(`[G1] the commit at ${offset} ends epoch ${String(epochOf.get(id))}, not ${epoch}`);
  }
  return flaws;
}

/** What began after another's answer stands behind it. */
function reordered(operations: readonly Operation[]): string[] {
  const placed = operations.flatMap(({ name, invokedMs, answeredMs, outcome }) =>
    outcome.kind === "result" && name !== "head"
      ? [{ invokedMs, answeredMs, offset: Number(outcome.facts["offset"]) }]
      : [],
  );
  const answers = placed.toSorted((a, b) => a.answeredMs - b.answeredMs);
  const flaws: string[] = [];
  let highest = 0;
  let next = 0;
  for (const { invokedMs, offset } of placed.toSorted((a, b) => a.invokedMs - b.invokedMs)) {
    for (let answer = answers[next]; answer !== undefined && answer.answeredMs < invokedMs; answer = answers[next]) {
      highest = Math.max(highest, answer.offset);
      next += 1;
    }
    if (offset < highest) flaws.push(`[G5] ${offset} was sent after ${highest} had been answered`);
  }
  return flaws;
}

function missed(entries: readonly LogEntry[], log: readonly LogEntry[], whose: string): string[] {
  const flaws = holes(entries, whose);
  if (entries.length < log.length) flaws.push(`[G5] ${whose} was given ${entries.length} of ${log.length}`);
  const at = entries.findIndex(({ id }, n) => id !== log[n]?.id);
  return at < 0 || flaws.length > 0 ? flaws : [`[G5] ${whose} was given something else at ${at + 1}`];
}

/**
 * Of one pool: `publish` {refs}, `claim` → {ref}, or refused when it was empty.
 * @param left refs that the pool holds at the end
 */
export function poolFlaws(operations: readonly Operation[], left: readonly string[]): string[] {
  const flaws: string[] = [];
  const published = new Map<string, "surely" | "perhaps">();
  for (const { name, input, outcome } of operations) {
    if (name !== "publish" || outcome.kind === "retryable" || outcome.kind === "refused") continue;
    const certainty = outcome.kind === "result" ? "surely" : "perhaps";
    for (const ref of String(input["refs"]).split(" ")) published.set(ref, certainty);
  }
  const given = new Set<string>();
  let unknown = 0;
  for (const { name, outcome } of operations) {
    if (name !== "claim") continue;
    if (outcome.kind === "unknown") unknown += 1;
    if (outcome.kind !== "result") continue;
    const ref = String(outcome.facts["ref"]);
    if (!published.has(ref)) flaws.push(`[G2] ${ref}, which nobody published, was handed out`);
    if (given.has(ref)) flaws.push(`[G2] ${ref} was handed out twice`);
    given.add(ref);
  }
  for (const ref of left) if (given.has(ref)) flaws.push(`[G2] ${ref} was handed out and is there`);
  const here = new Set(left);
  const gone = [...published].filter(([ref, how]) => how === "surely" && !given.has(ref) && !here.has(ref));
  if (gone.length > unknown) flaws.push(`[G3] ${gone.length} packages are gone, ${unknown} claims may have taken one`);
  return [...flaws, ...emptyTooSoon(operations)];
}

/** "None is left" is no answer while more had been acknowledged than all claims together could have taken. */
function emptyTooSoon(operations: readonly Operation[]): string[] {
  const claims = operations.filter(({ name, outcome }) => name === "claim" && outcome.kind !== "retryable");
  const publishes = operations.filter(({ name, outcome }) => name === "publish" && outcome.kind === "result");
  const refused = claims.filter(({ outcome }) => outcome.kind === "refused");
  return refused.flatMap(({ invokedMs, answeredMs }) => {
    const had = publishes
      .filter((publish) => publish.answeredMs < invokedMs)
      .reduce((sum, { input }) => sum + String(input["refs"]).split(" ").length, 0);
    const taken = claims.filter((claim) => claim.invokedMs < answeredMs && claim.outcome.kind !== "refused").length;
    return had > taken ? [`[G4] a pool of ${had}, of which ${taken} were asked for, was called empty`] : [];
  });
}
