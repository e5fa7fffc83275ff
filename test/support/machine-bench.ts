// One machine on a bench: turns as the host takes them, without a host. And tables of cases, each a state, a
// command and what must come of it, with a test that fails while a pair of state and command has no case.
import { createActor, type AnyActor, type Snapshot } from "xstate";
import { describe, expect, it } from "vitest";
import { SortedDirectory } from "../../src/actors/directory.ts";
import type { Effect } from "../../src/actors/effects.ts";
import type { MachineEntry } from "../../src/actors/machine-catalogue.ts";
import {
  decodeEnvelope,
  encodeEnvelope,
  persistedOf,
  snapshotOf,
  type PersistedState,
} from "../../src/actors/snapshot.ts";
import { takeTurn, type Turn, type TurnSubject } from "../../src/actors/turn.ts";
import type { ActorAddress } from "../../src/actors/actor-port.ts";
import { actorKey } from "../../src/actors/actor-address.ts";

export const NOW = 1_700_000_000_000;
export const LINEAGE = "lineage";

export type AnyCommand = { readonly type: string } & Record<string, unknown>;

export class Bench implements TurnSubject {
  readonly key: string;
  readonly address: ActorAddress;
  readonly emitted: Effect[] = [];
  readonly directory: SortedDirectory;
  machine: AnyActor;
  outboxNumber = 0;
  now = NOW;
  readonly #entry: MachineEntry;

  constructor(entry: MachineEntry, address: ActorAddress, from?: Bench) {
    this.#entry = entry;
    this.address = address;
    this.key = actorKey(address);
    this.directory = new SortedDirectory(entry.directoryPrefixes, from?.directory.list("") ?? []);
    this.machine = this.#started(from?.stored());
    if (from === undefined) return;
    this.now = from.now;
    this.outboxNumber = from.outboxNumber;
  }

  /** One turn, and what it did to the state. */
  send(command: object): Turn {
    return takeTurn(this, command as AnyCommand, { now: this.now, lineage: LINEAGE, directory: this.directory });
  }

  get state(): string {
    return (this.machine.getSnapshot() as { value: string }).value;
  }

  get context(): Record<string, unknown> {
    return (this.machine.getSnapshot() as { context: Record<string, unknown> }).context;
  }

  /** Through bytes and back, as a restart does it. */
  copy(): Bench {
    return new Bench(this.#entry, this.address, this);
  }

  stored(): PersistedState {
    const state = persistedOf(this.machine.getSnapshot() as Snapshot<unknown>);
    const { outboxNumber } = this;
    const { version: machineVersion } = this.#entry;
    const envelope = { machineVersion, state, outboxNumber, lineage: LINEAGE, resultsUntil: 0 };
    return decodeEnvelope(encodeEnvelope(envelope)).state;
  }

  #started(state: PersistedState | undefined): AnyActor {
    const input = { applicationId: this.address.applicationId, id: this.address.id };
    const options = state === undefined ? { input } : { input, snapshot: snapshotOf(state) };
    const machine = createActor(this.#entry.machine, options);
    machine.on("*", (effect) => {
      this.emitted.push(effect as Effect);
    });
    machine.subscribe({ error: () => undefined });
    machine.start();
    return machine;
  }
}

export interface MachineCase<State extends string> {
  readonly in: State;
  /** What is special, for the case's name. */
  readonly when?: string;
  /** Brings the machine, already in its state, to where the case begins. */
  readonly first?: readonly object[];
  readonly send: { readonly type: string };
  /** Default: `in`. */
  readonly to?: State;
  /** The refusal's reason; then nothing else may have happened. */
  readonly refused?: string;
  /** Effects in order, each matched in the fields given. Absent without `refused`: none. */
  readonly emits?: readonly object[];
  /** Fields of the context afterwards. */
  readonly context?: object;
}

export interface MachineTable<State extends string, Type extends string> {
  readonly name: string;
  readonly entry: MachineEntry;
  readonly address: ActorAddress;
  /** Every command of the machine. */
  readonly commands: Readonly<Record<Type, true>>;
  /** Commands that lead from the beginning to each state. */
  readonly reach: Readonly<Record<State, readonly object[]>>;
  readonly cases: readonly MachineCase<State>[];
}

export function describeMachine<State extends string, Type extends string>(table: MachineTable<State, Type>): void {
  const { name, entry, address, cases, reach, commands } = table;
  const inState = (state: State): Bench => {
    const bench = new Bench(entry, address);
    for (const command of reach[state]) bench.send(command);
    expect(bench.state).toBe(state);
    return bench;
  };
  describe(name, () => {
    for (const one of cases) {
      const special = one.when === undefined ? "" : ` (${one.when})`;
      it(`${one.in} × ${one.send.type}${special} → ${one.refused ?? one.to ?? one.in}`, () => {
        const bench = inState(one.in);
        for (const command of one.first ?? []) bench.send(command);
        const before = { state: bench.state, context: bench.context };
        const turn = bench.send(one.send);
        if (one.refused !== undefined) {
          expect(turn.refusal?.reason).toBe(one.refused);
          expect({ state: bench.state, context: bench.context }).toEqual(before);
          expect(bench.emitted.map(({ type }) => type)).toEqual(["refuse"]);
          return;
        }
        expect(bench.state).toBe(one.to ?? one.in);
        expect(bench.emitted.map(({ type }) => type)).toEqual(
          (one.emits ?? []).map((effect) => (effect as Effect).type),
        );
        expect(bench.emitted).toMatchObject(one.emits ?? []);
        if (one.context !== undefined) expect(bench.context).toMatchObject(one.context);
      });
    }
    it("every state meets every command in a case", () => {
      const states = Object.keys(entry.machine.states);
      expect(Object.keys(reach).sort()).toEqual(states.sort());
      const handled = entry.machine.events.filter((event) => event !== "*");
      expect(Object.keys(commands).sort()).toEqual(expect.arrayContaining(handled.sort()));
      const met = new Set(cases.map((one) => `${one.in} × ${one.send.type}`));
      const pairs = states.flatMap((state) => Object.keys(commands).map((type) => `${state} × ${type}`));
      expect(pairs.filter((pair) => !met.has(pair))).toEqual([]);
    });
  });
}
