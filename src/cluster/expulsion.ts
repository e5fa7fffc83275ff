// Who is to be expelled from the cluster, judged from what this node has seen. Pure. A wrong judgement costs
// availability, never correctness: the expelled are fenced like everybody else (GUARANTEES, Timings).
export interface SeenMember {
  readonly nodeId: string;
  /** Members that it says it can't reach. */
  readonly unreachable: readonly string[];
  /** For how long its heartbeat has stood still while this node was watching. */
  readonly silentMs: number;
}

export interface Sight {
  readonly self: string;
  /** Everybody, this node included. */
  readonly members: readonly SeenMember[];
}

export interface ExpulsionTimings {
  /** Silence after which a member is gone, whatever else is said. */
  readonly expelMs: number;
  /** The same with two nodes, when the other's port refuses connections. */
  readonly refusedExpelMs: number;
}

const REPORTS_NEEDED = 2;

export function toExpel(sight: Sight, timings: ExpulsionTimings): string[] {
  const others = sight.members.filter(({ nodeId }) => nodeId !== sight.self);
  return others.filter((member) => isGone(member, sight, timings)).map(({ nodeId }) => nodeId);
}

function isGone({ nodeId, silentMs }: SeenMember, sight: Sight, timings: ExpulsionTimings): boolean {
  if (silentMs >= timings.expelMs) return true;
  const reporters = sight.members.filter(({ unreachable }) => unreachable.includes(nodeId));
  if (sight.members.length === 2) return reporters.length > 0 && silentMs >= timings.refusedExpelMs;
  if (reporters.length < REPORTS_NEEDED) return false;
  const part = largestPart(sight.members);
  return part.has(sight.self) && !part.has(nodeId);
}

/** The larger connected part of the cluster; of two equal ones, that with the lowest id. */
function largestPart(members: readonly SeenMember[]): ReadonlySet<string> {
  const cut = (a: SeenMember, b: SeenMember): boolean =>
    a.unreachable.includes(b.nodeId) || b.unreachable.includes(a.nodeId);
  const left = new Set([...members].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)));
  let largest = new Set<string>();
  for (const start of left) {
    const part = new Set<string>();
    const queue = [start];
    for (let member = queue.pop(); member !== undefined; member = queue.pop()) {
      if (!left.delete(member)) continue;
      part.add(member.nodeId);
      for (const other of left) if (!cut(member, other)) queue.push(other);
    }
    if (part.size > largest.size) largest = part;
  }
  return largest;
}
