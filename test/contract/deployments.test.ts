// deploy/ says only what the server knows: settings, ports, paths, and times that fit together.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseAllDocuments, parseDocument } from "yaml";
import { PEER_PATH } from "../../src/cluster/peer-frames.ts";
import { environmentName, SERVER_SETTINGS } from "../../src/config.ts";
import { LIMIT_SETTINGS } from "../../src/limit-settings.ts";
import { SOCKET_PATH } from "../../src/protocol/frames.ts";
import type { Setting } from "../../src/setting.ts";
import { haproxyPath } from "../support/haproxy.ts";
import { startAdminServer } from "../../src/transport/admin-server.ts";

const deploy = path.resolve(import.meta.dirname, "../../deploy");
const settings = new Map<string, Setting>(
  Object.entries({ ...SERVER_SETTINGS, ...LIMIT_SETTINGS }).map(([name, setting]) => [environmentName(name), setting]),
);
const port = SERVER_SETTINGS.port.fallback;
const adminPort = SERVER_SETTINGS.adminPort.fallback;
const stopMs = LIMIT_SETTINGS.drainMs.fallback + LIMIT_SETTINGS.handOverMs.fallback;

function read(file: string): string {
  return readFileSync(path.join(deploy, file), "utf8");
}

const files = readdirSync(deploy, { recursive: true, encoding: "utf8" }).filter((file) => /\.\w+$/.test(file));

describe("every file of deploy/", () => {
  it("is one that is looked at here", () => {
    expect(files.sort()).toEqual([
      "compose/README.md",
      "compose/compose.yaml",
      "haproxy/README.md",
      "haproxy/haproxy.cfg",
      "kubernetes/README.md",
      "kubernetes/aegis.yaml",
    ]);
  });

  it("names only settings that there are", () => {
    const named = files.flatMap((file) => read(file).match(/\bAEGIS_[A-Z0-9_]+\b/g) ?? []);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !settings.has(name))).toEqual([]);
  });

  it("links only to files that are there", () => {
    for (const file of files.filter((name) => name.endsWith(".md"))) {
      for (const [, target = ""] of read(file).matchAll(/\]\(([^)#]+)\)/g)) {
        expect(existsSync(path.resolve(deploy, path.dirname(file), target)), `${file}: ${target}`).toBe(true);
      }
    }
  });

  it("holds no secret", () => {
    for (const file of files) expect(read(file), file).not.toMatch(/aegis_\w+_[0-9a-f]{32}|=[0-9a-f]{32}/);
  });
});

/** A value given in a manifest is one that the server takes. */
function expectTaken(name: string, value: string): void {
  const setting = settings.get(name);
  if (setting === undefined) throw new Error(`there is no setting ${name}`);
  // What the orchestrator puts in: an address here.
  const whole = value.replace(/\$\(\w+\)/, "10.0.0.1").replace(/^\$\{.*\}$/, `aegis_operator_${"0".repeat(64)}`);
  expect(setting.schema.safeParse(whole).success, `${name}=${value}`).toBe(true);
}

interface Node {
  readonly image: string;
  readonly stop_grace_period: string;
  readonly environment: Readonly<Record<string, string>>;
}

describe("compose.yaml", () => {
  const document = parseDocument(read("compose/compose.yaml"), { merge: true });
  const { services } = document.toJS() as { services: Record<string, Node & { command: string[]; ports: string[] }> };
  const nodes = Object.keys(services).filter((name) => name.startsWith("aegis-"));

  it("is YAML", () => {
    expect(document.errors).toEqual([]);
    expect(document.warnings).toEqual([]);
  });

  it("has nodes with settings that the server takes, the two secrets from outside, and time to stop", () => {
    expect(nodes).toHaveLength(2);
    for (const name of nodes) {
      const { environment, stop_grace_period: grace } = services[name]!;
      for (const [variable, value] of Object.entries(environment)) expectTaken(variable, value);
      for (const secret of ["AEGIS_SECRET", "AEGIS_OPERATOR_KEY"]) {
        expect(environment[secret]).toMatch(new RegExp(`^\\$\\{${secret}:\\?.+\\}$`));
      }
      expect(environment["AEGIS_ADVERTISE"]).toBe(`${name}:${port}`);
      expect(Number.parseInt(grace) * 1000).toBeGreaterThan(stopMs);
    }
  });

  it("has Redis as durability fsync wants it", () => {
    const words = services["redis"]!.command.join(" ");
    expect(words).toContain("--appendonly yes --appendfsync always --maxmemory-policy noeviction");
  });

  it("gives haproxy the nodes' names and ports", () => {
    const { environment, ports } = services["haproxy"]!;
    nodes.forEach((name, n) => {
      expect(environment[`NODE_${n + 1}`]).toBe(`${name}:${port}`);
      expect(environment[`NODE_${n + 1}_ADMIN_PORT`]).toBe(String(adminPort));
    });
    expect(environment["FRONT"]).toBe(`:${port}`);
    expect(ports).toEqual([`127.0.0.1:${port}:${port}`]);
  });
});

describe("haproxy.cfg", () => {
  const text = read("haproxy/haproxy.cfg");
  const ms = (name: string): number => {
    const [, amount, unit] = new RegExp(`^ +timeout ${name} (\\d+)(ms|s)$`, "m").exec(text) ?? [];
    return Number(amount) * (unit === "s" ? 1000 : 1);
  };

  it("is taken by haproxy with one, two and three nodes", () => {
    const env: Record<string, string> = { FRONT: "127.0.0.1:7400", PATH: haproxyPath };
    for (const n of [1, 2, 3]) {
      Object.assign(env, { [`NODE_${n}`]: "127.0.0.1:7400", [`NODE_${n}_ADMIN_PORT`]: "7401" });
      const file = path.join(deploy, "haproxy/haproxy.cfg");
      const { status, stderr } = spawnSync("haproxy", ["-c", "-f", file], { env, encoding: "utf8" });
      expect(status, stderr).toBe(0);
      expect(stderr).not.toContain("WARNING");
    }
  });

  it("waits for longer than the server does", () => {
    const { heartbeatMs, pongTimeoutMs, handshakeTimeoutMs } = LIMIT_SETTINGS;
    expect(ms("tunnel")).toBeGreaterThan(2 * (heartbeatMs.fallback * 1.1 + pongTimeoutMs.fallback));
    expect(ms("server")).toBeGreaterThan(handshakeTimeoutMs.fallback);
  });

  it("lets through what is the clients', and not what is the nodes'", () => {
    expect(text).toContain(`unless { path ${SOCKET_PATH} }`);
    expect(text).toContain(`(${PEER_PATH})`);
  });
});

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Record<string, unknown>;
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly image: string;
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly securityContext: object;
}

interface Pod {
  readonly metadata: { readonly labels: object };
  readonly spec: { readonly terminationGracePeriodSeconds: number; readonly containers: readonly [Container] };
}

describe("aegis.yaml for Kubernetes", () => {
  const documents = parseAllDocuments(read("kubernetes/aegis.yaml"));
  if (!Array.isArray(documents)) throw new Error("an empty file");
  const manifests = documents.map((document) => document.toJS() as Manifest);
  const find = (kind: string): Manifest[] => manifests.filter((manifest) => manifest.kind === kind);
  const deployment = find("Deployment")[0]!;
  const pod = deployment.spec["template"] as Pod;
  const [container] = pod.spec.containers;

  it("is YAML, each object once", () => {
    for (const { errors, warnings } of documents) expect([...errors, ...warnings]).toEqual([]);
    const names = manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain("PodDisruptionBudget/aegis");
  });

  it("gives settings that the server takes, and secrets by reference alone", () => {
    for (const { name, value } of container.env.filter((variable) => variable.name.startsWith("AEGIS_"))) {
      if (value !== undefined) expectTaken(name, value);
    }
    const secrets = container.env.filter(({ valueFrom = {} }) => "secretKeyRef" in valueFrom);
    expect(secrets.map(({ name }) => name)).toEqual(["AEGIS_STORE", "AEGIS_SECRET", "AEGIS_OPERATOR_KEY"]);
    for (const { name, valueFrom } of secrets)
      expect(valueFrom).toEqual({ secretKeyRef: { name: "aegis", key: name } });
    const advertised = container.env.find(({ name }) => name === "AEGIS_ADVERTISE");
    expect(advertised?.value).toBe(`$(POD_IP):${port}`);
  });

  // What Kubernetes makes of a Service for every pod of its namespace, unless the pod asks it not to.
  it("lets no Service's own variables be taken for settings", () => {
    const variables = find("Service").map(({ metadata }) => `${metadata.name.toUpperCase().replaceAll("-", "_")}_PORT`);
    const taken = variables.filter((name) => settings.has(name));
    expect(taken).toEqual(["AEGIS_PORT"]);
    expect((pod.spec as unknown as { enableServiceLinks?: boolean }).enableServiceLinks).toBe(false);
  });

  it("selects its pods everywhere by the labels that they have", () => {
    const { labels } = pod.metadata;
    expect(deployment.spec["selector"]).toEqual({ matchLabels: labels });
    for (const { spec } of find("PodDisruptionBudget")) expect(spec["selector"]).toEqual({ matchLabels: labels });
    for (const { spec } of find("NetworkPolicy")) expect(spec["podSelector"]).toEqual({ matchLabels: labels });
    for (const { spec } of find("Service")) expect(spec["selector"]).toEqual(labels);
  });

  it("uses the server's ports by name, and paths that the admin port answers", async () => {
    expect(container.ports).toEqual([
      { name: "clients", containerPort: port },
      { name: "admin", containerPort: adminPort },
    ]);
    const admin = await startAdminServer({
      host: "127.0.0.1",
      port: 0,
      ready: () => Promise.resolve(true),
      lineagesChanged: () => 0,
      metrics: () => Promise.resolve({ contentType: "text/plain", body: "" }),
      operator: { isOperator: () => false, cluster: undefined as never },
    });
    const { startupProbe, readinessProbe, livenessProbe } = container;
    for (const { httpGet } of [startupProbe, readinessProbe, livenessProbe]) {
      expect(httpGet.port).toBe("admin");
      expect((await fetch(`http://127.0.0.1:${admin.port}${httpGet.path}`)).status).toBe(200);
    }
    await admin.close();
    expect(readinessProbe.httpGet.path).toBe("/readyz");
    expect(read("haproxy/haproxy.cfg")).toContain("uri /readyz");
  });

  it("leaves time to stop, and runs the image as the image runs", () => {
    const [command, seconds] = container.lifecycle.preStop.exec.command;
    expect(command).toBe("sleep");
    const needed = Number(seconds) * 1000 + stopMs;
    expect(pod.spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(needed + 10_000);
    const dockerfile = readFileSync(path.join(deploy, "../Dockerfile"), "utf8");
    const { runAsUser, runAsGroup } = (pod.spec as unknown as { securityContext: Record<string, number> })
      .securityContext;
    expect(dockerfile).toContain(`USER ${runAsUser}:${runAsGroup}`);
  });
});
