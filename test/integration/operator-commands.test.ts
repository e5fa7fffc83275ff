// `aegis nodes`, `aegis shards` and `aegis drain` as an operator runs them, against three real nodes under load.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { NodesOverview, ShardsOverview } from "../../src/protocol/schemas/operator-pages.ts";
import { ClusterProcess } from "../support/cluster-process.ts";
import { freePort } from "../support/free-port.ts";
import { RecordedLoad } from "../support/recorded-load.ts";
import { randomFrom, seedOf } from "../support/seed.ts";

const root = path.join(import.meta.dirname, "../..");

let cluster: ClusterProcess;

beforeAll(async () => {
  cluster = await ClusterProcess.start({ nodes: 3 });
}, 60_000);

afterAll(async () => {
  await cluster.dispose();
});

interface Said {
  readonly code: unknown;
  readonly output: string;
  readonly errors: string;
}

async function aegis(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
  const child = spawn(process.execPath, [path.join(root, "dist/main.js"), ...words], {
    env: {
      ...process.env,
      AEGIS_OPERATOR_KEY: cluster.operatorToken,
      AEGIS_ADMIN_URL: cluster.server(0).adminUrl,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (text: Buffer) => (output += text.toString()));
  child.stderr.on("data", (text: Buffer) => (errors += text.toString()));
  const [code] = (await once(child, "close")) as [unknown];
  return { code, output, errors };
}

async function nodes(): Promise<NodesOverview> {
  const { code, output, errors } = await aegis(["nodes", "--json"]);
  expect(code, errors).toBe(0);
  return JSON.parse(output) as NodesOverview;
}

async function nodeAt(n: number): Promise<string> {
  const { port } = cluster.server(n);
  const found = (await nodes()).nodes.find(({ address }) => address === `127.0.0.1:${port}`);
  if (found === undefined) throw new Error("not there");
  return found.nodeId;
}

async function under(load: RecordedLoad, calls: number): Promise<void> {
  const until = load.answered + calls;
  await expect
    .poll(() => load.failure !== undefined || load.answered >= until, { timeout: 30_000, interval: 20 })
    .toBe(true);
  if (load.failure !== undefined) throw load.failure;
}

test("nodes and shards say who is there and who owns what, from any node", async () => {
  const seen = await nodes();
  expect(seen.nodes).toHaveLength(3);
  expect(seen.unowned).toBe(0);
  expect(seen.nodes.reduce((sum, { shards }) => sum + shards, 0)).toBe(256);
  for (const node of seen.nodes) expect(node).toMatchObject({ leaving: false, reachable: true });
  expect(seen.answeredBy).toBe(await nodeAt(0));
  const elsewhere = await aegis(["nodes", "--json", "--admin", cluster.server(1).adminUrl]);
  expect((JSON.parse(elsewhere.output) as NodesOverview).answeredBy).toBe(await nodeAt(1));

  const { shards } = JSON.parse((await aegis(["shards", "--json"])).output) as ShardsOverview;
  expect(shards.map(({ shard }) => shard)).toEqual(Array.from({ length: 256 }, (_, n) => n));
  for (const { owner, ownerIsMember, placedOn, fence } of shards) {
    expect(ownerIsMember).toBe(true);
    expect(owner).toBe(placedOn);
    expect(fence).toBeGreaterThan(0);
  }

  const table = await aegis(["nodes"]);
  expect(table.output).toMatch(/^NODE +ADDRESS +SHARDS +STATE +HEARTBEAT$/m);
  expect(table.output).toMatch(/ up +\d+\.\d s ago +answers$/m);
  expect(table.output).toMatch(/^256 shards$/m);
  expect((await aegis(["shards"])).output.trim().split("\n")).toHaveLength(257);
});

test("what can't be done is said: no key, a wrong one, no server, no such node, wrong words", async () => {
  const wrong = `aegis_operator_${"0".repeat(32)}`;
  const says = async (words: readonly string[], env?: Readonly<Record<string, string>>) => {
    const { code, output, errors } = await aegis(words, env);
    expect(output).toBe("");
    expect(errors).not.toContain(cluster.operatorToken);
    expect(errors).not.toContain(wrong);
    return `${String(code)} ${errors}`;
  };
  expect(await says(["nodes"], { AEGIS_OPERATOR_KEY: "" })).toMatch(/^2 aegis: AEGIS_OPERATOR_KEY/);
  expect(await says(["nodes"], { AEGIS_OPERATOR_KEY: wrong })).toMatch(/^1 .*UNAUTHORIZED/);
  expect(await says(["drain", await nodeAt(1)], { AEGIS_OPERATOR_KEY: wrong })).toMatch(/^1 .*UNAUTHORIZED/);
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  expect(await says(["nodes", "--admin", nowhere])).toMatch(/^1 .*no admin port answers .*ECONNREFUSED/);
  expect(await says(["nodes", "--admin", cluster.server(0).url])).toMatch(/^2 .*http:\/\/HOST:PORT/);
  expect(await says(["nodes", "--admin", `http://127.0.0.1:${cluster.server(0).port}`])).toMatch(/^1 .*no admin port/);
  expect(await says(["drain", "nobody"])).toMatch(/^1 .*there is no node nobody/);
  expect(await says(["drain"])).toMatch(/^2 aegis: usage/);
  expect(await says(["nodes", "--wait", "1"])).toMatch(/^2 /);
  expect(await nodes()).toMatchObject({ nodes: { length: 3 } });
});

test("[F09] [G6] nodes are drained under load, by another and by themselves, and no call fails; the last one stays", async () => {
  const load = await RecordedLoad.start({
    url: cluster.url,
    operatorToken: cluster.operatorToken,
    random: randomFrom(seedOf("drains")),
  });
  await under(load, 100);

  const other = await nodeAt(2);
  const ended = cluster.server(2).ended();
  expect(await aegis(["drain", other.slice(0, 8)])).toMatchObject({ code: 0, output: `${other} has gone\n` });
  expect(await ended).toBe(0);
  expect(await nodes()).toMatchObject({ nodes: { length: 2 }, unowned: 0 });
  await under(load, 100);

  const itself = await nodeAt(0);
  const alsoEnded = cluster.server(0).ended();
  const asked = await aegis(["drain", `127.0.0.1:${cluster.server(0).port}`, "--json"]);
  expect(JSON.parse(asked.output)).toEqual({ nodeId: itself, gone: true });
  expect(await alsoEnded).toBe(0);
  await under(load, 100);

  const env = { AEGIS_ADMIN_URL: cluster.server(1).adminUrl };
  const left = JSON.parse((await aegis(["nodes", "--json"], env)).output) as NodesOverview;
  expect(left).toMatchObject({ nodes: { length: 1 }, unowned: 0 });
  const refused = await aegis(["drain", left.answeredBy], env);
  expect(refused).toMatchObject({ code: 1, output: "" });
  expect(refused.errors).toMatch(/LAST_NODE/);
  await under(load, 100);

  await load.stop();
  await load.check();
  expect(load.unanswered).toBe(0);
  await load.close();
});
