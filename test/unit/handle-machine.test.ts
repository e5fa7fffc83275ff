import { expect, it } from "vitest";
import { HOLDERS_MAX, type HandleCommand } from "../../src/actors/handle-machine.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { address } from "../support/actor-world.ts";
import { Bench, describeMachine, NOW } from "../support/machine-bench.ts";

type State = "free" | "reserved" | "held";

const entry = machineCatalogue.handle;
const handle = address("handle", "f00d");
const reserve = (clientId = "alice", reservation = "r1") => ({ type: "reserve", clientId, reservation, key: "k" });
const hold = (reservation = "r1") => ({ type: "hold", clientId: "alice", reservation });
const release = (clientId = "alice", reservation = "r1") => ({ type: "release", clientId, reservation });
const settled = (held: boolean, reservation = "r1", under?: string) => ({
  type: "reservationSettled",
  reservation,
  held,
  ...(under === undefined ? {} : { under }),
});
const timer = { type: "timer", name: "settle" };

const armed = { type: "setTimer", name: "settle", at: NOW + 45_000 };
const disarmed = { type: "clearTimer", name: "settle" };
const answer = (clientId = "alice", reservation = "r1") => ({ type: "reply", value: { clientId, reservation } });

describeMachine<State, HandleCommand["type"]>({
  name: "handle",
  entry,
  address: handle,
  commands: { reserve: true, hold: true, release: true, reservationSettled: true, timer: true },
  reach: { free: [], reserved: [reserve()], held: [reserve(), hold()] },
  cases: [
    { in: "free", send: reserve(), to: "reserved", emits: [armed, answer()], context: { clientId: "alice", key: "k" } },
    { in: "free", send: hold() },
    { in: "free", send: release() },
    { in: "free", send: settled(false) },
    { in: "free", send: timer },
    { in: "reserved", when: "another client", send: reserve("bob", "r2"), refused: "HANDLE_TAKEN" },
    { in: "reserved", when: "the same client", send: reserve("alice", "r2"), emits: [answer()] },
    {
      in: "reserved",
      send: hold(),
      to: "held",
      emits: [disarmed],
      context: { lastClientId: "alice", holders: ["alice"] },
    },
    { in: "reserved", when: "another reservation", send: hold("r0") },
    { in: "reserved", send: release(), to: "free", emits: [disarmed] },
    { in: "reserved", when: "an earlier reservation", send: release("alice", "r0") },
    { in: "reserved", when: "another client", send: release("bob") },
    {
      in: "reserved",
      when: "held",
      send: settled(true),
      to: "held",
      emits: [disarmed],
      context: { reservation: "r1" },
    },
    {
      in: "reserved",
      when: "held under another",
      send: settled(true, "r1", "r0"),
      to: "held",
      emits: [disarmed],
      context: { reservation: "r0", lastClientId: "alice" },
    },
    {
      in: "reserved",
      when: "unused",
      send: settled(false),
      to: "free",
      emits: [disarmed, { type: "forget", key: "k" }],
    },
    { in: "reserved", when: "another reservation", send: settled(false, "r0") },
    { in: "reserved", when: "another reservation, held", send: settled(true, "r0") },
    {
      in: "reserved",
      send: timer,
      emits: [
        {
          type: "tell",
          to: { kind: "identity", id: "alice" },
          command: { type: "settleReservation", reservation: "r1", handleId: "f00d" },
        },
        armed,
      ],
    },
    { in: "held", when: "another client", send: reserve("bob", "r2"), refused: "HANDLE_TAKEN" },
    {
      in: "held",
      when: "the same client",
      send: reserve("alice", "r2"),
      to: "reserved",
      emits: [armed, answer("alice", "r2")],
      context: { reservation: "r2" },
    },
    { in: "held", send: hold() },
    { in: "held", send: release(), to: "free" },
    { in: "held", when: "an earlier reservation", send: release("alice", "r0") },
    { in: "held", when: "another client", send: release("bob") },
    { in: "held", send: settled(false) },
    { in: "held", send: timer },
  ],
});

it("a client that comes back to a handle before its release arrived keeps it", () => {
  const bench = new Bench(entry, handle);
  bench.send(reserve("alice", "r1"));
  bench.send(hold("r1"));
  // alice went to another handle and comes back; the release of r1 is still on its way.
  bench.send(reserve("alice", "r2"));
  bench.send(release("alice", "r1"));
  expect(bench.send(reserve("bob", "r3")).refusal?.reason).toBe("HANDLE_TAKEN");
  bench.send(hold("r2"));
  expect(bench.state).toBe("held");
  expect(bench.send(reserve("bob", "r3")).refusal?.reason).toBe("HANDLE_TAKEN");
  bench.send(release("alice", "r2"));
  expect(bench.state).toBe("free");
});

it("[G8] whoever only asked for its own handle again still lets it go later", () => {
  const bench = new Bench(entry, handle);
  bench.send(reserve("alice", "r1"));
  bench.send(hold("r1"));
  bench.send(reserve("alice", "r2"));
  bench.send(settled(true, "r2", "r1"));
  expect(bench.state).toBe("held");
  bench.send(release("alice", "r1"));
  expect(bench.state).toBe("free");
});

it("[L6] so many holders are remembered and no more, each once", () => {
  const bench = new Bench(entry, handle);
  for (let n = 0; n < HOLDERS_MAX + 2; n += 1) {
    for (const command of [reserve(`c${String(n)}`), hold(), release(`c${String(n)}`)]) bench.send(command);
  }
  for (const command of [reserve("c9"), hold()]) bench.send(command);
  const others = Array.from({ length: HOLDERS_MAX }, (_, n) => `c${String(n + 2)}`).filter((id) => id !== "c9");
  expect(bench.context["holders"]).toEqual([...others, "c9"]);
});
