import fc from "fast-check";
import { expect, it } from "vitest";
import { Delivery } from "../../src/services/delivery.ts";
import type { AttachedStream, DeliverySubscription, ResetReason } from "../../src/services/delivery-subscription.ts";
import { settle, SILENT_DELIVERY, StreamWorld } from "../support/stream-world.ts";

const ACTORS = ["a/group/1", "a/group/2", "a/identity/3"] as const;

type Step =
  | { kind: "append"; actor: number; count: number }
  | { kind: "news"; actor: number; again: number }
  | { kind: "credit"; messages: number; bytes: number }
  | { kind: "finishRead"; which: number }
  | { kind: "trim"; actor: number; keep: number }
  | { kind: "socket"; writable: boolean }
  | { kind: "attach"; actor: number; back: number; knowsLast: boolean }
  | { kind: "start" };

const actor = fc.nat(ACTORS.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("append"), actor, count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("news"), actor, again: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("credit"), messages: fc.nat(6), bytes: fc.nat(30) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("finishRead"), which: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("trim"), actor, keep: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("socket"), writable: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("attach"), actor, back: fc.nat(3), knowsLast: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("start") }) },
);

/** Plays the gate, the store and one client; judges each event as it comes. */
class Play {
  readonly world = new StreamWorld();
  readonly delivery = new Delivery({
    followed: () => undefined,
    store: this.world,
    shardOf: () => 0,
    limits: { streamReadsMax: 2, streamReadEventsMax: 3, streamReadBytesMax: 12, streamChecksPerSecond: 0 },
    events: SILENT_DELIVERY,
  });
  readonly #news = new Map<number, { durable: number; told: number }>(
    ACTORS.map((_, at) => [at, { durable: 0, told: 0 }]),
  );
  readonly #opening: { stream: AttachedStream; from: number; last: number | undefined }[] = [];
  readonly #expected = new Map<number, { actor: string; next: number }>();
  #writable = true;
  #nextNumber = 1;
  #granted = { messages: 0, bytes: 0 };
  #sent = { messages: 0, bytes: 0 };
  readonly #subscription: DeliverySubscription = this.delivery.openSubscription(
    {
      event: (number, entry) => {
        expect(this.#granted.messages - this.#sent.messages).toBeGreaterThan(0);
        expect(this.#granted.bytes - this.#sent.bytes).toBeGreaterThan(0);
        this.#sent = { messages: this.#sent.messages + 1, bytes: this.#sent.bytes + entry.body.length };
        const expected = this.#expected.get(number);
        expect(entry.offset).toBe(expected?.next);
        if (expected !== undefined) expected.next += 1;
      },
      reset: (number: number, reason: ResetReason, position) => {
        const expected = this.#expected.get(number);
        expect(reason).toBe("TRIMMED");
        // Says so only where something is truly gone, and goes on right behind it.
        expect(position?.offset).toBeGreaterThanOrEqual(expected?.next ?? 0);
        if (expected !== undefined && position !== undefined) expected.next = position.offset + 1;
      },
      writable: () => this.#writable,
    },
    { messages: 0, bytes: 0 },
  );

  async apply(step: Step): Promise<void> {
    switch (step.kind) {
      case "append":
        this.world.append(ACTORS[step.actor] ?? "", step.count);
        this.#tell(step.actor).durable += step.count;
        break;
      case "news":
        this.#publish(step.actor, step.again);
        break;
      case "credit":
        this.#granted = { messages: this.#granted.messages + step.messages, bytes: this.#granted.bytes + step.bytes };
        this.#subscription.grant(step);
        break;
      case "finishRead":
        this.world.finishRead(step.which);
        break;
      case "trim":
        this.world.trim(ACTORS[step.actor] ?? "", this.world.log(ACTORS[step.actor] ?? "").last - step.keep + 1);
        break;
      case "socket":
        this.#writable = step.writable;
        if (step.writable) this.#subscription.resume();
        break;
      case "attach":
        this.#attach(step);
        break;
      case "start":
        this.#start();
        break;
    }
    if (step.kind !== "append") await settle();
  }

  async finish(): Promise<void> {
    while (this.#opening.length > 0) this.#start();
    for (const at of ACTORS.keys()) this.#publish(at, 0);
    await this.apply({ kind: "socket", writable: true });
    for (let round = 0; round < 300; round += 1) {
      await this.apply({ kind: "credit", messages: 2, bytes: 9 });
      this.world.finishRead(round);
      await settle();
    }
    expect(this.world.pending).toBe(0);
    expect(this.world.pendingMax).toBeLessThanOrEqual(2);
    for (const { actor, next } of this.#expected.values()) expect(next - 1).toBe(this.world.log(actor).last);
  }

  #tell(at: number): { durable: number; told: number } {
    const news = this.#news.get(at);
    if (news === undefined) throw new Error("no such actor");
    return news;
  }

  /** The gate tells, in order, what is durable: perhaps late, trimmed already, or (after a move) once more. */
  #publish(at: number, again: number): void {
    const news = this.#tell(at);
    const name = ACTORS[at] ?? "";
    const from = Math.max(0, news.told - again);
    const entries = Array.from({ length: news.durable - from }, (_, index) => {
      const offset = from + index + 1;
      return { offset, time: 1, type: "application", body: new Uint8Array(1 + (offset % 7)) };
    });
    news.told = news.durable;
    if (entries.length > 0) this.delivery.published(name, this.world.log(name).lineage, entries);
  }

  #attach({ actor, back, knowsLast }: { actor: number; back: number; knowsLast: boolean }): void {
    const name = ACTORS[actor] ?? "";
    const stream = this.#subscription.attach(this.#nextNumber++, name);
    const { last } = this.world.log(name);
    this.#opening.push({ stream, from: Math.max(0, last - back), last: knowsLast ? last : undefined });
  }

  #start(): void {
    const opening = this.#opening.shift();
    if (opening === undefined) return;
    const { stream, from, last } = opening;
    this.#expected.set(stream.number, { actor: stream.actor, next: from + 1 });
    this.#subscription.start(stream, { lineage: this.world.log(stream.actor).lineage, offset: from }, last);
  }
}

it("[G5] loses, doubles and reorders nothing under any interleaving of writes, news, reads, credit and trims", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120 }), async (steps) => {
      const play = new Play();
      for (const each of steps) await play.apply(each);
      await play.finish();
    }),
    { numRuns: Number(process.env["AEGIS_PROPERTY_RUNS"] ?? 400) },
  );
}, 120_000);
