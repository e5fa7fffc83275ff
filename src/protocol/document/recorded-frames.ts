// The frames of the seven steps as they went over a wire (docs/protocol-frames.json), for the page. Pure.
import { z } from "zod";
import { decode } from "../codec.ts";

const recordedFrame = z.object({
  /** Number of the step, 1 to 7. */
  step: z.int().min(1).max(7),
  /** What the step does. */
  title: z.string(),
  /** `client` sends to `server`, or the other way. */
  from: z.enum(["client", "server"]),
  /** Which connection: the steps use several. */
  connection: z.string(),
  /** One whole frame. */
  hex: z.string().regex(/^(?:[0-9a-f]{2})+$/),
  /** What it says, in words. */
  note: z.string(),
});

export type RecordedFrame = z.infer<typeof recordedFrame>;

/** @throws ZodError when the file has another form */
export function readRecordedFrames(json: string): RecordedFrame[] {
  return z.array(recordedFrame).parse(JSON.parse(json));
}

const LINE_CHARS = 96;
const BIN_BYTES_SHOWN = 8;

export function recordedSteps(frames: readonly RecordedFrame[]): string {
  const steps = new Map<string, RecordedFrame[]>();
  for (const frame of frames) {
    const heading = `### Step ${frame.step}: ${frame.title}`;
    steps.set(heading, [...(steps.get(heading) ?? []), frame]);
  }
  return [...steps].map(([heading, group]) => [heading, ...group.map(recorded)].join("\n\n")).join("\n\n");
}

function recorded({ from, connection, hex, note }: RecordedFrame): string {
  const arrow = from === "client" ? "→" : "←";
  const said = shown(decode(new Uint8Array(Buffer.from(hex, "hex"))));
  const lines = hex.match(new RegExp(`.{1,${LINE_CHARS}}`, "g")) ?? [];
  return `${arrow} *${connection}*: ${note}\n\n\`\`\`text\n${said}\n\n${lines.join("\n")}\n\`\`\``;
}

/** A value as a person reads it: bin as hex, cut short. */
function shown(value: unknown): string {
  if (value === null) return "nil";
  if (value instanceof Uint8Array) return shownBin(value);
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, item]) => `${name}: ${shown(item)}`)
    .join(", ")}}`;
}

function shownBin(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, BIN_BYTES_SHOWN)).toString("hex");
  return bytes.length <= BIN_BYTES_SHOWN ? `h'${hex}'` : `h'${hex}…' (${bytes.length})`;
}
