// Makes sure that the programs which the tests start are there: installs them as root on Debian, else says what
// to install. Never starts a service.
import { existsSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { isEntry, runCommand } from "./run-command.mjs";

const needed = [
  { package: "redis-server", why: "the Redis store's tests", probe: ["redis-server", "--version"] },
  { package: "strace", why: "the proof that acknowledged writes are synced", probe: ["strace", "--version"] },
  { package: "haproxy", why: "the test of deploy/haproxy", probe: ["sh", "-c", "PATH=$PATH:/usr/sbin haproxy -v"] },
  { package: "faketime", why: "nodes whose clocks are wrong", probe: ["faketime", "--version"] },
  { package: "openssl", why: "a certificate for the tests of rediss://", probe: ["openssl", "version"] },
  {
    package: "python3-websockets",
    why: "the client in Python",
    probe: ["/usr/bin/python3", "-c", "import websockets"],
  },
  { package: "python3-msgpack", why: "the client in Python", probe: ["/usr/bin/python3", "-c", "import msgpack"] },
];

export function ensureSystem() {
  const missing = absent();
  if (missing.length === 0) return;
  const canInstall = process.getuid?.() === 0 && existsSync("/etc/debian_version");
  if (canInstall) install(missing.map((one) => one.package));
  const still = absent();
  if (still.length === 0) return;
  for (const one of still) console.error(`Missing: ${one.package} (${one.why}).`);
  console.error(`Install them first, on Debian: apt-get install ${still.map((one) => one.package).join(" ")}`);
  process.exit(1);
}

function absent() {
  return needed.filter(({ probe: [command, ...args] }) => {
    const done = spawnSync(command, args, { stdio: "ignore" });
    return done.error !== undefined || done.status !== 0;
  });
}

function install(packages) {
  console.log(`Installing ${packages.join(", ")} (apt-get)…`);
  // RUNLEVEL=1 keeps Debian from starting the installed services.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const args = ["install", "-y", "--no-install-recommends", ...packages];
  if (runCommand("apt-get", args, { env }) === 0) return;
  runCommand("apt-get", ["update"], { env });
  runCommand("apt-get", args, { env });
}

if (isEntry(import.meta.url)) ensureSystem();
