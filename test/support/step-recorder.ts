// Writes down the frames of a run: what docs/protocol-frames.json holds. Secrets are written as zeros.
import { decode, encode } from "../../src/protocol/codec.ts";
import { encodeRequest } from "../../src/protocol/frames.ts";
import { FrameChannel } from "./frame-channel.ts";
import { valueAt, type FreshPaths } from "./fresh-values.ts";

/** As docs/protocol-frames.json has it; `fresh`: what this frame introduces that differs in each run. */
export interface RecordedFrame {
  readonly step: number;
  readonly title: string;
  readonly from: "client" | "server";
  readonly connection: string;
  readonly hex: string;
  readonly note: string;
  readonly fresh?: FreshPaths;
}

export class StepRecorder {
  readonly frames: RecordedFrame[] = [];
  readonly #url: string;
  readonly #channels = new Map<string, FrameChannel>();
  #step = 0;
  #title = "";
  #requests = 0;

  constructor(url: string) {
    this.#url = url;
  }

  step(title: string): void {
    this.#step += 1;
    this.#title = title;
  }

  async connect(connection: string, token: string): Promise<void> {
    this.#channels.set(connection, await FrameChannel.open(this.#url, token));
    const session = { [`${connection}Session`]: [1, "session"] };
    // The node is the same for all connections of a run.
    const first = this.#channels.size === 1 ? { node: [1, "node"], version: [1, "version"] } : {};
    await this.receive(connection, "WELCOME", { ...session, ...first });
  }

  /** A request and its answer; the result or the error's details are at [3] and [2] of the answer. */
  async call(connection: string, method: string, params: object, note: string, fresh: FreshPaths = {}, key?: string) {
    this.#requests += 1;
    const frame = encodeRequest(this.#requests, method, params, key === undefined ? undefined : { key });
    this.send(connection, frame, `\`${method}\`: ${note}`);
    return await this.receive(connection, `its answer`, fresh);
  }

  send(connection: string, frame: Uint8Array, note: string): void {
    this.#write(connection, "client", frame, note);
    this.#channel(connection).send(frame);
  }

  async receive(connection: string, note: string, fresh: FreshPaths = {}): Promise<unknown[]> {
    const frame = await this.#channel(connection).next();
    const names = Object.keys(fresh);
    const told = names.length === 0 ? note : `${note}; new in each run: ${names.join(", ")}`;
    this.#write(connection, "server", frame, told, names.length === 0 ? undefined : fresh);
    return decode(frame) as unknown[];
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
  }

  #write(connection: string, from: "client" | "server", frame: Uint8Array, note: string, fresh?: FreshPaths): void {
    const hex = Buffer.from(withoutSecret(frame)).toString("hex");
    const placed = { step: this.#step, title: this.#title, from, connection, hex, note };
    this.frames.push(fresh === undefined ? placed : { ...placed, fresh });
  }

  #channel(connection: string): FrameChannel {
    const channel = this.#channels.get(connection);
    if (channel === undefined) throw new Error(`no connection ${connection}`);
    return channel;
  }
}

/** An answer that shows a key is written with zeros where its secret stands. */
function withoutSecret(frame: Uint8Array): Uint8Array {
  const decoded = decode(frame);
  const key = valueAt(decoded, [3]) as { key?: { secret: string } } | null | undefined;
  if (typeof key !== "object" || key?.key === undefined) return frame;
  key.key.secret = key.key.secret.replace(/[^_]+$/, (secret) => "0".repeat(secret.length));
  const written = encode(decoded);
  if (written.length !== frame.length) throw new Error("the frame changed its length");
  return written;
}
