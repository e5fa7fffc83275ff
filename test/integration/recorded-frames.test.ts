// The frames of docs/protocol-frames.json (which docs/PROTOCOL.md shows), replayed against the real server: every
// client frame is sent as recorded, every server frame must be as recorded, but for the values that are new in each
// run. `AEGIS_RECORD=1` records them anew first.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import { FrameChannel } from "../support/frame-channel.ts";
import { FreshValues } from "../support/fresh-values.ts";
import { ServerProcess } from "../support/server-process.ts";
import { sevenSteps } from "../support/seven-steps.ts";
import { StepRecorder, type RecordedFrame } from "../support/step-recorder.ts";

const file = path.resolve(import.meta.dirname, "../../docs/protocol-frames.json");

let server: ServerProcess;

beforeEach(async () => {
  server = await ServerProcess.start();
});

afterEach(async () => {
  await server.dispose();
});

class Replay {
  readonly #fresh = new FreshValues();
  readonly #channels = new Map<string, FrameChannel>();
  #applicationToken: string | undefined;

  async frame({ from, connection, hex, note, fresh = {} }: RecordedFrame): Promise<void> {
    const recorded = Buffer.from(hex, "hex");
    const channel = this.#channels.get(connection) ?? (await this.#open(connection));
    if (from === "client") {
      channel.send(this.#fresh.present(recorded));
      return;
    }
    const actual = await channel.next();
    const decoded = decode(actual);
    this.#fresh.introduce(fresh, decode(recorded), decoded);
    if ("token" in fresh) this.#applicationToken = (decoded as [0, 0, 0, { key: { secret: string } }])[3].key.secret;
    expect(actual.toString("hex"), `${connection}: ${note}`).toBe(this.#fresh.present(recorded).toString("hex"));
  }

  async #open(connection: string): Promise<FrameChannel> {
    const token = connection === "operator" ? server.operatorToken : this.#applicationToken;
    const channel = await FrameChannel.open(server.url, token ?? "");
    this.#channels.set(connection, channel);
    return channel;
  }

  /** Frames that came and were not recorded. */
  get left(): number {
    return [...this.#channels.values()].reduce((count, channel) => count + channel.left, 0);
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
  }
}

describe("the recorded frames of the seven steps", () => {
  it.runIf(process.env["AEGIS_RECORD"] === "1")("are recorded anew", async () => {
    const run = new StepRecorder(server.url);
    await sevenSteps(run, server.operatorToken);
    run.close();
    writeFileSync(file, `${JSON.stringify(run.frames, null, 1)}\n`);
  });

  it("[T1] [E1] [S3] are what the server says, byte for byte", async () => {
    const frames = JSON.parse(readFileSync(file, "utf8")) as RecordedFrame[];
    expect(new Set(frames.map(({ step }) => step))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7]));
    const replay = new Replay();
    try {
      for (const frame of frames) await replay.frame(frame);
      expect(replay.left).toBe(0);
    } finally {
      replay.close();
    }
  });
});
