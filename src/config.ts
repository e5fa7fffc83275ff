// Every setting of the server, once: unit, range, default and what it is for. docs/CONFIGURATION.md,
// the flags, the environment's names and the checks all come from here; no other file holds a default.
import { z } from "zod";
import type { LIMIT_SETTINGS } from "./limit-settings.ts";
import { oneOf, text, wholeNumber, type Setting } from "./setting.ts";

export type StoreAddress =
  { readonly kind: "lmdb"; readonly path: string } | { readonly kind: "redis"; readonly url: string };

const STORE_FORMS = "lmdb:PATH, redis[s]://…, redis[s]+sentinel://… or redis[s]+cluster://…";

const storeAddress = z
  .string({ error: `must be ${STORE_FORMS}` })
  .regex(/^(lmdb:.+|rediss?(\+(sentinel|cluster))?:\/\/.+)$/s, `must be ${STORE_FORMS}`)
  .transform((value): StoreAddress =>
    value.startsWith("lmdb:") ? { kind: "lmdb", path: value.slice("lmdb:".length) } : { kind: "redis", url: value },
  );

/** The port from 1 to 65535. */
const HOST_AND_PORT = /^[^\s/]+:(?!0)(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])$/;

const TOKEN_FORM = "aegis_<keyId>_<secret>, both of letters, digits and dashes, the secret of at least 32";

/** What the server is and where it listens. */
export const SERVER_SETTINGS = {
  host: text(/^\S+$/, "an address or a host name", "127.0.0.1", "Where application servers connect.", { flag: "host" }),
  port: wholeNumber("port", 0, 65_535, 7400, "Port for application servers; 0 takes a free one.", { flag: "port" }),
  advertise: text(
    HOST_AND_PORT,
    "HOST:PORT",
    undefined,
    "Where other nodes of the deployment reach this one; without it host and port, or, when the host is 0.0.0.0 or ::, the machine's first outward IPv4 address.",
    { flag: "advertise" },
  ),
  tlsCertFile: text(
    /^.+$/s,
    "a path",
    undefined,
    "PEM file of this node's certificate, followed by those that lead to its authority. With it and `tlsKeyFile` the port speaks TLS (`wss://`), with application servers and among nodes: on all nodes or on none. Read again when it changes.",
  ),
  tlsKeyFile: text(/^.+$/s, "a path", undefined, "PEM file of the certificate's private key, not encrypted."),
  linkCaFile: text(
    /^.+$/s,
    "a path",
    undefined,
    "PEM file of the authority that signed the other nodes' certificates, where the system does not trust it; needs `tlsCertFile`.",
  ),
  linkServerName: text(
    /^[A-Za-z0-9.-]{1,253}$/,
    "a host name",
    undefined,
    "The name that every node's certificate carries, where that is not the host at which the others reach it; needs `tlsCertFile`.",
  ),
  adminHost: text(
    /^\S+$/,
    "an address or a host name",
    "127.0.0.1",
    "Where health, metrics and the operator's commands are served. Health and metrics ask for no key: keep it private.",
  ),
  adminPort: wholeNumber(
    "port",
    0,
    65_535,
    7401,
    "Port for health, metrics and the operator's commands; 0 takes a free one.",
    {
      flag: "admin-port",
    },
  ),
  store: {
    doc: "Where everything is kept: a folder (`lmdb:PATH`: embedded, one node), a Redis server (`redis[s]://[USER[:PASSWORD]@]HOST[:PORT][/DB]`), the primary that Sentinel knows by a name (`redis[s]+sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/NAME[/DB]`: the sentinels, the credentials those of Redis), or a Redis Cluster (`redis[s]+cluster://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]`: some of its servers).",
    unit: "",
    range: STORE_FORMS,
    fallback: { kind: "lmdb", path: "./data" },
    schema: storeAddress as unknown as z.ZodType<StoreAddress>,
    flag: "store",
    sensitive: true,
  } satisfies Setting<StoreAddress>,
  prefix: text(
    /^[A-Za-z0-9_.-]{1,64}$/,
    "1–64 letters, digits, dots, dashes, underscores",
    "aegis",
    "Opens the name of every key in Redis: one deployment, one prefix.",
    { flag: "prefix" },
  ),
  durability: oneOf(
    ["memory", "fsync"],
    "fsync",
    "What a reply waits for: the store's answer (memory) or the synced disk (fsync).",
    { flag: "durability" },
  ),
  assumeDurability: oneOf(
    ["no", "yes"],
    "no",
    "The operator answers for Redis keeping the durability level, where its configuration can't be read (CONFIG is often off in hosted Redis).",
  ),
  redisCaFile: text(
    /^.+$/s,
    "a path",
    undefined,
    "PEM file of the authority that signed the certificates of a rediss:// server, of rediss+sentinel:// servers and sentinels, or of a rediss+cluster:// cluster's servers.",
  ),
  redisConnections: wholeNumber(
    "connections",
    1,
    32,
    4,
    "Connections of this node to each Redis primary; a shard's commands always take the same one.",
  ),
  sentinelPassword: text(
    /^.+$/s,
    "a password",
    undefined,
    "What the sentinels themselves ask for (`requirepass` in their configuration), if anything.",
    { sensitive: true },
  ),
  shards: wholeNumber(
    "shards",
    1,
    4096,
    256,
    "Into how many shards the actors are split; fixed at the store's first start.",
  ),
  operatorKey: text(
    /^aegis_[A-Za-z0-9-]{1,64}_[A-Za-z0-9-]{32,256}$/,
    TOKEN_FORM,
    undefined,
    "The operator's whole token. Without it the first start on lmdb makes one and keeps it in the data folder (`operator-key`, mode 0600); on Redis it must be set.",
    { sensitive: true },
  ),
  secret: text(
    /^[\x21-\x7e]{32,1024}$/,
    "32–1024 printable ASCII characters without spaces",
    undefined,
    "The deployment's one secret, from which the pepper of stored keys, the links between nodes and the encryption of stored results derive. Made and kept like the operator's key on lmdb; on Redis it must be set, equal on every node.",
    { sensitive: true },
  ),
  logLevel: oneOf(
    ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
    "info",
    "How much is written to the log (standard output, one JSON object a line).",
  ),
} as const;

type Values<Settings> = { readonly [Name in keyof Settings]: Settings[Name] extends Setting<infer T> ? T : never };

export type Limits = Values<typeof LIMIT_SETTINGS>;
export type Config = Values<typeof SERVER_SETTINGS> & { readonly limits: Limits };

/** `messageBytesMax` → `AEGIS_MESSAGE_BYTES_MAX`. */
export function environmentName(setting: string): string {
  return `AEGIS_${setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
