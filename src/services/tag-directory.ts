// Discovery by tags: candidates from the index, each judged by its identity record, so that a find sees
// every change acknowledged before and nothing that is over (rule 6). The index alone decides nothing.
import type { IdentityContext } from "../actors/identity-machine.ts";
import { indexedTag, tagOf } from "../actors/tag-names.ts";
import type { Refused } from "../actors/actor-port.ts";
import type { TagEntry } from "../store/store.ts";
import { nextStep, readRecords, refused, type ApplicationRequest, type ServicePorts } from "./service-ports.ts";

export interface TagFilter {
  readonly all?: readonly string[];
  readonly any?: readonly string[];
  readonly none?: readonly string[];
}

export interface FoundPage {
  readonly kind: "found";
  readonly clients: readonly IdentityContext[];
  /** clientId after which the next page begins; undefined: there is no more. */
  readonly after: string | undefined;
}

/** Candidates judged in one round. */
const ROUND = 256;

export class TagDirectory {
  readonly #ports: Pick<ServicePorts, "store" | "turn">;

  constructor(ports: Pick<ServicePorts, "store" | "turn">) {
    this.#ports = ports;
  }

  /** Clients in order of their ids, those above `after`. Refused without `all` and `any`, and when nobody waits for them any more. */
  async find(
    request: Pick<ApplicationRequest, "applicationId" | "deadline" | "cancellation">,
    filter: TagFilter,
    after: string,
    limit: number,
  ): Promise<FoundPage | Refused> {
    const { applicationId } = request;
    if ([...(filter.all ?? []), ...(filter.any ?? [])].length === 0) return refused("FILTER_EMPTY");
    const drivers = await this.#drivers(applicationId, filter);
    const clients: IdentityContext[] = [];
    let cursor = after;
    for (;;) {
      const { entries, exhausted } = await this.#candidates(applicationId, drivers, cursor);
      const likely = entries.filter(({ tags }) => matches(filter, new Set(tags.flatMap((tag) => tagOf(tag) ?? []))));
      const addresses = likely.map(({ clientId }) => ({ applicationId, kind: "identity" as const, id: clientId }));
      for (const record of await readRecords<IdentityContext>(this.#ports.store, addresses)) {
        if (record?.state !== "active" || !matches(filter, new Set(record.context.tags))) continue;
        clients.push(record.context);
        if (clients.length > limit)
          return { kind: "found", clients: clients.slice(0, limit), after: clients[limit - 1]?.id };
      }
      cursor = entries.at(-1)?.clientId ?? cursor;
      if (exhausted) return { kind: "found", clients, after: undefined };
      const unwanted = await nextStep(this.#ports, request);
      if (unwanted !== undefined) return unwanted;
    }
  }

  /** The fewest entries that are sure to hold every match: one tag of `all`, or the union of `any`. */
  async #drivers(applicationId: string, { all = [], any = [] }: TagFilter): Promise<readonly string[]> {
    if (all.length === 0) return any.map(indexedTag);
    const counts = await Promise.all(all.map((tag) => this.#ports.store.countTag(applicationId, indexedTag(tag))));
    const fewest = counts.indexOf(Math.min(...counts));
    return [indexedTag(all[fewest] ?? "")];
  }

  async #candidates(
    applicationId: string,
    drivers: readonly string[],
    after: string,
  ): Promise<{ readonly entries: readonly TagEntry[]; readonly exhausted: boolean }> {
    const pages = await Promise.all(drivers.map((tag) => this.#ports.store.readTag(applicationId, tag, after, ROUND)));
    // Beyond the shortest full page a tag may hold clients that were not read yet.
    const horizons = pages.filter((page) => page.length === ROUND).map((page) => page.at(-1)?.clientId ?? "");
    const horizon = horizons.length === 0 ? undefined : horizons.reduce((a, b) => (a < b ? a : b));
    const byClient = new Map<string, TagEntry>();
    for (const entry of pages.flat()) {
      if (horizon !== undefined && entry.clientId > horizon) continue;
      const known = byClient.get(entry.clientId);
      if (known === undefined || known.version < entry.version) byClient.set(entry.clientId, entry);
    }
    const entries = [...byClient.values()].sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
    return { entries, exhausted: horizon === undefined };
  }
}

function matches({ all = [], any = [], none = [] }: TagFilter, tags: ReadonlySet<string>): boolean {
  if (!all.every((tag) => tags.has(tag)) || none.some((tag) => tags.has(tag))) return false;
  return any.length === 0 || any.some((tag) => tags.has(tag));
}
