// Performs the Dockerfile in a temporary folder, each RUN as it stands, then starts what the image would start
// and asks its HEALTHCHECK. Proves the image's content where no container can be built.
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseDockerfile } from "./dockerfile.mjs";
import { root } from "./run-command.mjs";

const healthyWithinMs = 30_000;
const stoppedWithinMs = 20_000;

const folder = mkdtempSync(path.join(tmpdir(), "aegis-image-"));
try {
  const image = build(parseDockerfile(readFileSync(path.join(root, "Dockerfile"), "utf8")));
  await run(image);
  console.log("The image's steps build, its server is healthy and stops when told to.");
} catch (error) {
  console.error(`The image does not work: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function build(stages) {
  let last;
  for (const stage of stages) {
    last = { stage, workdir: "/", env: {} };
    mkdirSync(path.join(folder, stage.name));
    for (const { instruction, rest } of stage.steps) perform(last, instruction, rest);
  }
  return last;
}

function perform(state, instruction, rest) {
  if (instruction === "WORKDIR") {
    state.workdir = rest;
    mkdirSync(inside(state, rest), { recursive: true });
  } else if (instruction === "COPY") copy(state, rest.split(" "));
  else if (instruction === "RUN") shell(state, rest);
  else if (instruction === "ENV") state.env[rest.split("=")[0]] = rest.slice(rest.indexOf("=") + 1);
  else state[instruction] = rest;
}

/** A path of the image, in this stage's folder. */
function inside({ stage, workdir }, imagePath) {
  return path.join(folder, stage.name, path.posix.resolve(workdir, imagePath));
}

function copy(state, words) {
  const from = words.find((word) => word.startsWith("--from="))?.slice("--from=".length);
  const paths = words.filter((word) => !word.startsWith("--"));
  const to = inside(state, paths.at(-1));
  for (const source of paths.slice(0, -1)) {
    const at = from === undefined ? path.join(root, source) : path.join(folder, from, source);
    const intoFolder = paths.at(-1).endsWith("/") && !statSync(at).isDirectory();
    cpSync(at, intoFolder ? path.join(to, path.basename(source)) : to, { recursive: true });
  }
}

function shell(state, command) {
  console.log(`[${state.stage.name}] ${command}`);
  const done = spawnSync("sh", ["-c", command], { cwd: inside(state, "."), stdio: ["ignore", "inherit", "inherit"] });
  if (done.status !== 0) throw new Error(`"${command}" ended with ${done.status ?? done.error}`);
}

async function run(image) {
  const [port, adminPort] = [await freePort(), await freePort()];
  const env = {
    ...process.env,
    ...image.env,
    AEGIS_HOST: "127.0.0.1",
    AEGIS_PORT: String(port),
    AEGIS_ADMIN_PORT: String(adminPort),
    AEGIS_STORE: image.env.AEGIS_STORE.replace(/^lmdb:(.*)$/, (_, data) => `lmdb:${inside(image, data)}`),
  };
  const [command, ...args] = [...JSON.parse(image.ENTRYPOINT), ...JSON.parse(image.CMD)];
  const server = spawn(command, args, { cwd: inside(image, "."), env, stdio: ["ignore", "inherit", "inherit"] });
  const ended = new Promise((resolve) => server.once("exit", (code, signal) => resolve(code ?? signal)));
  try {
    await healthy(image, env, server);
    server.kill("SIGTERM");
    const code = await Promise.race([ended, delay(stoppedWithinMs, "still running", { ref: false })]);
    if (code !== 0) throw new Error(`told to stop, the server ended with: ${code}`);
  } finally {
    server.kill("SIGKILL");
  }
}

async function healthy(image, env, server) {
  const [command, ...args] = JSON.parse(image.HEALTHCHECK.slice(image.HEALTHCHECK.indexOf("CMD ") + "CMD ".length));
  const until = performance.now() + healthyWithinMs;
  while (spawnSync(command, args, { env, stdio: "ignore" }).status !== 0) {
    if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`);
    if (performance.now() > until) throw new Error(`not healthy within ${healthyWithinMs} ms`);
    await delay(100);
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
