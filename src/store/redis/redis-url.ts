// Takes a redis:// or rediss:// URL apart. Must never put the URL or its password into an error.
import { StoreRefused } from "../store.ts";

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly tls: boolean;
}

/** `redis[s]://[user[:password]@]host[:port][/db]`. @throws StoreRefused */
export function parseRedisUrl(text: string): RedisAddress {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // The parser's error repeats the URL, password and all.
    throw new StoreRefused("the store's URL can't be read: redis[s]://[user[:password]@]host[:port][/db]");
  }
  if (url.protocol !== "redis:" && url.protocol !== "rediss:")
    throw new StoreRefused("not a redis:// or rediss:// URL");
  const db = url.pathname.length > 1 ? url.pathname.slice(1) : "0";
  if (!/^\d{1,4}$/.test(db)) throw new StoreRefused("the path of a Redis URL is the number of a database");
  if (url.search !== "" || url.hash !== "") throw new StoreRefused("a Redis URL takes no parameters here");
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 6379 : Number(url.port),
    username: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
    db: Number(db),
    tls: url.protocol === "rediss:",
  };
}
