// Takes a store URL for Redis apart: one server, the sentinels that know it, or servers of a cluster. Must never put
// the URL or its password into an error.
import { StoreRefused } from "../store.ts";

export interface RedisEndpoint {
  readonly host: string;
  readonly port: number;
}

/** How to find one primary. */
export type PrimaryRoute =
  | ({ readonly kind: "server" } & RedisEndpoint)
  | { readonly kind: "sentinel"; readonly sentinels: readonly RedisEndpoint[]; readonly primaryName: string };

/** How to find the primaries of a cluster: any servers of it. */
export interface ClusterRoute {
  readonly kind: "cluster";
  readonly seeds: readonly RedisEndpoint[];
}

export interface RedisLogin {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly tls: boolean;
}

export interface RedisAddress<Route = PrimaryRoute> extends RedisLogin {
  readonly route: Route;
}

const SERVER_FORM = "redis[s]://[user[:password]@]host[:port][/db]";
const SENTINEL_FORM = "redis[s]+sentinel://[user[:password]@]host[:port][,host[:port]…]/name[/db]";
const CLUSTER_FORM = "redis[s]+cluster://[user[:password]@]host[:port][,host[:port]…]";
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** @throws StoreRefused */
export function parseRedisUrl(text: string): RedisAddress<PrimaryRoute | ClusterRoute> {
  if (/^rediss?\+sentinel:/.test(text)) return sentinelAddress(text);
  return /^rediss?\+cluster:/.test(text) ? clusterAddress(text) : serverAddress(text);
}

export function addressOf(login: RedisLogin, server: RedisEndpoint): RedisAddress {
  return { ...login, route: { kind: "server", ...server } };
}

function serverAddress(text: string): RedisAddress {
  const url = parse(text, SERVER_FORM);
  if (url.protocol !== "redis:" && url.protocol !== "rediss:")
    throw new StoreRefused("not a redis:// or rediss:// URL");
  const route = { kind: "server", host: hostOf(url), port: url.port === "" ? REDIS_PORT : Number(url.port) } as const;
  return { route, ...credentials(url), db: database(url.pathname.slice(1)), tls: url.protocol === "rediss:" };
}

function sentinelAddress(text: string): RedisAddress {
  const [, scheme = "", user = "", hosts = "", name = "", db = ""] =
    /^(rediss?)\+sentinel:\/\/([^@/]*@)?([^@/]+)\/([^/?#]+)(?:\/([^/]*))?$/.exec(text) ?? [];
  if (!/^[A-Za-z0-9._-]+$/.test(name)) throw unreadable(SENTINEL_FORM);
  const { endpoints: sentinels, login } = endpointsOf(user, hosts, SENTINEL_PORT, SENTINEL_FORM);
  const route = { kind: "sentinel", sentinels, primaryName: name } as const;
  return { route, ...login, db: database(db), tls: scheme === "rediss" };
}

function clusterAddress(text: string): RedisAddress<ClusterRoute> {
  const [found, scheme = "", user = "", hosts = ""] = /^(rediss?)\+cluster:\/\/([^@/]*@)?([^@/]+)\/?$/.exec(text) ?? [];
  if (found === undefined) throw unreadable(CLUSTER_FORM);
  const { endpoints: seeds, login } = endpointsOf(user, hosts, REDIS_PORT, CLUSTER_FORM);
  // A cluster has no other database.
  return { route: { kind: "cluster", seeds }, ...login, db: 0, tls: scheme === "rediss" };
}

function endpointsOf(
  user: string,
  hosts: string,
  port: number,
  form: string,
): { readonly endpoints: readonly RedisEndpoint[]; readonly login: ReturnType<typeof credentials> } {
  // Only the first host of a list would be one to the URL parser: each is read by itself.
  const urls = hosts.split(",").map((host) => parse(`redis://${user}${host}`, form));
  const [first] = urls;
  if (first === undefined) throw unreadable(form);
  const endpoints = urls.map((url) => ({ host: hostOf(url), port: url.port === "" ? port : Number(url.port) }));
  return { endpoints, login: credentials(first) };
}

function parse(text: string, form: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // The parser's error repeats the URL, password and all.
    throw unreadable(form);
  }
  if (url.hostname === "") throw unreadable(form);
  if (url.search !== "" || url.hash !== "") throw new StoreRefused("a Redis URL takes no parameters here");
  return url;
}

function credentials(url: URL): Pick<RedisLogin, "username" | "password"> {
  return {
    username: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
  };
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

function database(text: string): number {
  if (!/^\d{0,4}$/.test(text)) throw new StoreRefused("the path of a Redis URL ends with the number of a database");
  return Number(text);
}

function unreadable(form: string): StoreRefused {
  return new StoreRefused(`the store's URL can't be read: ${form}`);
}
