import { describe, expect, it } from "vitest";
import { loadConfig, type LoadedConfig } from "../../src/load-config.ts";

function load(
  flags: string[],
  environment: Record<string, string> = {},
  files: Record<string, string> = {},
): LoadedConfig {
  return loadConfig({
    flags,
    environment,
    readFile(path) {
      const held = files[path];
      if (held === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      return held;
    },
  });
}

function configOf(loaded: LoadedConfig) {
  if (loaded.kind !== "config") throw new Error(`expected a config, got ${JSON.stringify(loaded)}`);
  return loaded.config;
}

describe("loadConfig", () => {
  it("has a default for everything but the two secrets", () => {
    const config = configOf(load([]));
    expect(config).toMatchObject({
      host: "127.0.0.1",
      port: 7400,
      adminHost: "127.0.0.1",
      adminPort: 7401,
      store: { kind: "lmdb", path: "./data" },
      prefix: "aegis",
      durability: "fsync",
      shards: 256,
    });
    expect(config.limits).toMatchObject({ messageBytesMax: 4194304, inFlightMax: 1024, streamsMax: 200000 });
    expect(config.secret).toBeUndefined();
    expect(config.operatorKey).toBeUndefined();
  });

  it("lets the file go before defaults, the environment before the file, flags before all", () => {
    const files = {
      "a.json": JSON.stringify({ port: 1, adminPort: 1, prefix: "file", limits: { inFlightMax: 7, mailboxMax: 9 } }),
    };
    const environment = { AEGIS_PORT: "2", AEGIS_ADMIN_PORT: "2", AEGIS_IN_FLIGHT_MAX: "8", AEGIS_CONFIG: "a.json" };
    const config = configOf(load(["--port", "3"], environment, files));
    expect([config.port, config.adminPort, config.prefix]).toEqual([3, 2, "file"]);
    expect([config.limits.inFlightMax, config.limits.mailboxMax]).toEqual([8, 9]);
  });

  it("takes the store by its scheme", () => {
    expect(configOf(load(["--store", "lmdb:/var/lib/aegis"])).store).toEqual({ kind: "lmdb", path: "/var/lib/aegis" });
    expect(configOf(load(["--store=rediss://h:1/2"])).store).toEqual({ kind: "redis", url: "rediss://h:1/2" });
  });

  it("counts an empty variable as not set", () => {
    expect(configOf(load([], { AEGIS_PORT: "", AEGIS_SECRET: "" })).port).toBe(7400);
  });

  const WRONG: [string, string[], Record<string, string>, Record<string, string>, string][] = [
    ["a port that is none", ["--port", "70000"], {}, {}, '--port must be at most 65535 (it is "70000")'],
    ["a word for a number", [], { AEGIS_PORT: "tcp://10.0.0.1:7400" }, {}, "AEGIS_PORT must be a whole number"],
    [
      "a fraction",
      ["--config", "a"],
      {},
      { a: '{"limits":{"inFlightMax":1.5}}' },
      "a: limits.inFlightMax must be a whole number (it is 1.5)",
    ],
    ["an unknown flag", ["--prot", "1"], {}, {}, "Unknown option '--prot'"],
    ["a stray word", ["serve"], {}, {}, "serve"],
    ["an unknown setting", ["--config", "a"], {}, { a: '{"prot":1}' }, 'there is no setting "prot"'],
    ["an unknown limit", ["--config", "a"], {}, { a: '{"limits":{"x":1}}' }, 'there is no setting "limits.x"'],
    ["a file that is not there", ["--config", "b"], {}, {}, "b can't be read (ENOENT)"],
    ["a file that is no JSON", ["--config", "a"], {}, { a: '{"secret": "hush' }, "a is not JSON"],
    ["a durability unknown", ["--durability", "maybe"], {}, {}, "--durability must be one of memory, fsync"],
    [
      "limits that contradict",
      [],
      { AEGIS_TTL_MS_DEFAULT: "20000", AEGIS_TTL_MS_MAX: "10000" },
      {},
      "ttlMsDefault must not be above",
    ],
    [
      "a node that serves on when it has been expelled",
      [],
      { AEGIS_SELF_FENCE_MS: "6000" },
      {},
      "selfFenceMs below expelMs",
    ],
    ["heartbeats too seldom to live", [], { AEGIS_NODE_HEARTBEAT_MS: "4000" }, {}, "nodeHeartbeatMs must be below"],
    [
      "messages of clients that don't fit between nodes",
      [],
      { AEGIS_MESSAGE_BYTES_MAX: "67108865" },
      {},
      "at least twice messageBytesMax",
    ],
    [
      "a queue to a node with no room for a message",
      [],
      { AEGIS_PEER_QUEUE_BYTES_MAX: "16777216" },
      {},
      "peerQueueBytesMax must not be below",
    ],
    [
      "an address with a port that is none",
      [],
      { AEGIS_ADVERTISE: "h:65536" },
      {},
      "AEGIS_ADVERTISE must be HOST:PORT",
    ],
    ["an address with port 0", ["--advertise", "h:0"], {}, {}, "--advertise must be HOST:PORT"],
  ];
  it.each(WRONG)("refuses %s with a message that names it", (_, flags, environment, files, message) => {
    const loaded = load(flags, environment, files);
    expect(loaded.kind).toBe("invalid");
    expect(loaded.kind === "invalid" && loaded.message).toContain(message);
  });

  it("takes TLS whole or not at all", () => {
    const files = { AEGIS_TLS_CERT_FILE: "a.pem", AEGIS_TLS_KEY_FILE: "b.pem", AEGIS_LINK_CA_FILE: "c.pem" };
    expect(configOf(load([], files))).toMatchObject({ tlsCertFile: "a.pem", tlsKeyFile: "b.pem", linkCaFile: "c.pem" });
    const { AEGIS_TLS_CERT_FILE, AEGIS_TLS_KEY_FILE, AEGIS_LINK_CA_FILE } = files;
    for (const wrong of [{ AEGIS_TLS_CERT_FILE }, { AEGIS_TLS_KEY_FILE }, { AEGIS_LINK_CA_FILE }]) {
      const loaded = load([], wrong);
      expect(loaded.kind === "invalid" && loaded.message).toContain("tlsKeyFile");
    }
    expect(load([], { AEGIS_LINK_SERVER_NAME: "x" })).toMatchObject({ kind: "invalid" });
  });

  it("never repeats a secret, wrong as it may be", () => {
    const wrong = { AEGIS_SECRET: "hush hush", AEGIS_OPERATOR_KEY: "hush_hush", AEGIS_STORE: "redi://:hush@h" };
    for (const [name, value] of Object.entries(wrong)) {
      const loaded = load([], { [name]: value });
      expect(loaded.kind === "invalid" && loaded.message).toContain(name);
      expect(JSON.stringify(loaded)).not.toContain("hush");
    }
  });

  it("has a text for --help that names every flag", () => {
    const loaded = load(["--help"]);
    expect(loaded.kind).toBe("help");
    for (const flag of ["--host", "--port", "--admin-port", "--store", "--prefix", "--durability", "--config"]) {
      expect(loaded.kind === "help" && loaded.text).toContain(flag);
    }
  });
});
