// One stream of a subscription: how far its consumer has come, so that it goes on there in any session.
import { badParams } from "../protocol/check-params.ts";
import { encode } from "../protocol/codec.ts";
import type { ReceivedEvent } from "../protocol/frames.ts";
import type { ParamsInput } from "../protocol/methods.ts";
import type { Position } from "../protocol/schemas/primitives.ts";
import { streamToAdd } from "../protocol/schemas/stream.ts";
import { AegisError } from "./aegis-error.ts";
import type { StreamName } from "./stream-item.ts";

/** A stream and where to begin: a position, `"start"`, `"now"`, or for a group `{epoch}`. */
export type StreamToAdd = ParamsInput<"subscription.add">["streams"][number];

/** Answer to one stream of `Subscription.add`. */
export type AddedStream =
  | {
      readonly stream: StreamName;
      /** False: events before `position` are gone, for `reason`. */
      readonly recovered: boolean;
      readonly position: Position;
      readonly reason?: "TRIMMED" | "LINEAGE_CHANGED";
    }
  | { readonly stream: StreamName; readonly error: AegisError };

/**
 * Why the stream at that place can't be asked for. Told before it is: streams of several callers share a request, and
 * one that is refused as a whole would take all of them along.
 */
export function streamFault(stream: StreamToAdd, at: number): AegisError | undefined {
  const parsed = streamToAdd.safeParse(stream);
  const issue = parsed.error?.issues[0];
  if (issue !== undefined) return fault([at, ...issue.path], issue.message);
  try {
    encode(stream);
    return undefined;
  } catch (error) {
    return fault([at], error instanceof Error ? error.message : String(error));
  }
}

function fault(path: readonly PropertyKey[], message: string): AegisError {
  return new AegisError(badParams(["streams", ...path.map(String)].join("."), message));
}

export class AttachedStream {
  readonly name: StreamName;
  /** The server's number for it in the present session. */
  number: number | undefined;
  /** Where it goes on; undefined until it was attached once. */
  position: Position | undefined;
  /** Newest offset acknowledged in the present lineage; 0: none. */
  acknowledged = 0;
  /** The consumer waits for the answer to its `add`. */
  waiting: ((added: AddedStream) => void) | undefined;
  removed = false;
  readonly #requested: StreamToAdd;

  constructor(requested: StreamToAdd, waiting: (added: AddedStream) => void) {
    this.name =
      requested.kind === "client" ? { kind: "client", id: requested.id } : { kind: "group", id: requested.id };
    this.#requested = requested;
    this.waiting = waiting;
  }

  /** What `subscription.add` is asked for it. */
  request(): StreamToAdd {
    return this.position === undefined ? this.#requested : { ...this.name, after: this.position };
  }

  attached(number: number, position: Position): void {
    this.number = number;
    if (position.lineage !== this.position?.lineage) this.acknowledged = 0;
    this.position = position;
  }

  /** False for an event that was received before. */
  advance(event: ReceivedEvent): boolean {
    if (this.position === undefined || event.offset <= this.position.offset) return false;
    this.position = { lineage: this.position.lineage, offset: event.offset };
    return true;
  }
}
