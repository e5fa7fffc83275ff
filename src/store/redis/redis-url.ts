// Takes a store URL for Redis apart: one server, or the sentinels that know it. Must never put the URL or its
// password into an error.
import { StoreRefused } from "../store.ts";

export interface RedisEndpoint {
  readonly host: string;
  readonly port: number;
}

/** How to find the primary. */
export type RedisRoute =
  | ({ readonly kind: "server" } & RedisEndpoint)
  | { readonly kind: "sentinel"; readonly sentinels: readonly RedisEndpoint[]; readonly primaryName: string };

export interface RedisAddress {
  readonly route: RedisRoute;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly tls: boolean;
}

const SERVER_FORM = "redis[s]://[user[:password]@]host[:port][/db]";
const SENTINEL_FORM = "redis[s]+sentinel://[user[:password]@]host[:port][,host[:port]…]/name[/db]";
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** @throws StoreRefused */
export function parseRedisUrl(text: string): RedisAddress {
  return /^rediss?\+sentinel:/.test(text) ? sentinelAddress(text) : serverAddress(text);
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
  // Only the first host of a list would be one to the URL parser: each is read by itself.
  const urls = hosts.split(",").map((host) => parse(`redis://${user}${host}`, SENTINEL_FORM));
  const sentinels = urls.map((url) => ({
    host: hostOf(url),
    port: url.port === "" ? SENTINEL_PORT : Number(url.port),
  }));
  const [first] = urls;
  if (first === undefined) throw unreadable(SENTINEL_FORM);
  const route = { kind: "sentinel", sentinels, primaryName: name } as const;
  return { route, ...credentials(first), db: database(db), tls: scheme === "rediss" };
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

function credentials(url: URL): Pick<RedisAddress, "username" | "password"> {
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
