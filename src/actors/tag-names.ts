// How names stand in the tag index: clients' own tags and the back-end's lists never share one. Pure.

/** The list of all clients of an application: what its quota counts. */
export const CLIENTS_LIST = "i:clients";
/** The list of all groups of an application. */
export const GROUPS_LIST = "i:groups";

export function indexedTag(tag: string): string {
  return `t:${tag}`;
}

/** Lists have no tag. */
export function tagOf(indexed: string): string | undefined {
  return indexed.startsWith("t:") ? indexed.slice(2) : undefined;
}
