// Two real nodes whose port speaks TLS: with application servers and with one another.
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type AegisClient, type ConnectOptions } from "../../src/client/client.ts";
import { webSocketDialer } from "../../src/cluster/peer-link-socket.ts";
import { LIMIT_SETTINGS } from "../../src/limit-settings.ts";
import { basicCredential } from "../support/app-world.ts";
import { ClusterProcess } from "../support/cluster-process.ts";
import { ServerAuthority } from "../support/server-certificates.ts";
import { ServerProcess } from "../support/server-process.ts";
import { until } from "../support/actor-world.ts";

const NODE_NAME = "aegis.internal";
const authority = new ServerAuthority();
let folder: string;
let cluster: ClusterProcess;
let clients: AegisClient[];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "aegis-tls-"));
  const { certFile, keyFile } = authority.issue(folder, NODE_NAME);
  const caFile = path.join(folder, "authority.pem");
  writeFileSync(caFile, authority.certificate);
  const env = {
    AEGIS_TLS_CERT_FILE: certFile,
    AEGIS_TLS_KEY_FILE: keyFile,
    AEGIS_LINK_CA_FILE: caFile,
    AEGIS_LINK_SERVER_NAME: NODE_NAME,
  };
  cluster = await ClusterProcess.start({ nodes: 2, env });
  const operator = await connectTo(0, { token: cluster.operatorToken });
  const { key } = await operator.application.create({ name: "tls" });
  await operator.close();
  clients = await Promise.all([0, 1].map((n) => connectTo(n, { token: key.secret })));
}, 60_000);

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await cluster.dispose();
  rmSync(folder, { recursive: true });
});

function connectTo(n: number, options: Pick<ConnectOptions, "token"> & Partial<ConnectOptions>): Promise<AegisClient> {
  const url = `wss://127.0.0.1:${String(cluster.server(n).port)}`;
  return connect({ url, tlsCa: authority.certificate, ...options });
}

/** The serial number that the port shows. */
async function serialOf(n: number): Promise<string> {
  const socket = connectTls({ host: "127.0.0.1", port: cluster.server(n).port, ca: authority.certificate });
  await once(socket, "secureConnect");
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

test("application servers and nodes speak TLS: calls are forwarded over encrypted links", async () => {
  for (let n = 0; n < 40; n += 1) {
    await clients[n % 2]?.identity.create({ clientIdentity: basicCredential(`c${String(n)}`) });
  }
  for (const server of cluster.servers) expect(await server.metric("aegis_calls_forwarded_total")).toBeGreaterThan(0);
  const { nodes } = await cluster.nodes();
  expect(nodes.map(({ reachable }) => reachable)).not.toContain(false);
});

test("whoever speaks no TLS, or trusts another authority, gets no session", async () => {
  const token = cluster.operatorToken;
  const tries = { token, connectTimeoutMs: 300 };
  await expect(connectTo(0, { ...tries, url: `ws://127.0.0.1:${String(cluster.server(0).port)}` })).rejects.toThrow();
  await expect(connectTo(0, { ...tries, tlsCa: new ServerAuthority().certificate })).rejects.toThrow();
});

test("a link is dialled only to a certificate with the nodes' name", async () => {
  const limits = { peerMessageBytesMax: LIMIT_SETTINGS.peerMessageBytesMax.fallback };
  const dial = (serverName: string) => {
    const socket = webSocketDialer(limits, { ca: authority.certificate, serverName })(
      `127.0.0.1:${String(cluster.server(0).port)}`,
    );
    return new Promise<string>((resolve) => {
      socket.on("error", (error) => resolve(error.message));
      socket.on("message", () => {
        resolve("challenged");
        socket.terminate();
      });
    });
  };
  expect(await dial(NODE_NAME)).toBe("challenged");
  expect(await dial("elsewhere.internal")).toMatch(/altnames/);
});

test("a renewed certificate is shown without a restart, half of one is not, and sessions go on", async () => {
  const before = await serialOf(0);
  const { keyFile } = authority.issue(folder, NODE_NAME);
  const key = readFileSync(keyFile);
  writeFileSync(keyFile, "");
  await until(() => cluster.server(0).loggedAt("the new certificate can't be used") > 0, "the refusal", 20_000);
  expect(cluster.server(0).output).toContain("tlsCertFile and tlsKeyFile hold no certificate with its key, as PEM");
  expect(await serialOf(0)).toBe(before);
  writeFileSync(keyFile, key);
  await until(async () => (await serialOf(0)) !== before, "the new certificate", 20_000);
  const { clientId } = (await clients[0]?.identity.create({ clientIdentity: basicCredential("after") })) ?? {};
  expect(clientId).toBeDefined();
  expect(await cluster.server(0).metric("aegis_certificate_valid_until_seconds")).toBeGreaterThan(Date.now() / 1000);
}, 60_000);

test("a server whose certificate does not fit its key refuses to start and says so", async () => {
  const own = mkdtempSync(path.join(tmpdir(), "aegis-tls-"));
  const { certFile } = authority.issue(own, NODE_NAME);
  const env = { AEGIS_TLS_CERT_FILE: certFile, AEGIS_TLS_KEY_FILE: path.join(folder, "server-key.pem") };
  await expect(ServerProcess.start({ env })).rejects.toThrow(/hold no certificate with its key/);
  rmSync(own, { recursive: true });
}, 30_000);
