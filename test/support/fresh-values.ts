// Values that a server makes anew in each run (ids, secrets, times): where a recorded frame introduces one, and how
// the recorded bytes become those of the present run. A value keeps its length, so lengths around it stay true.

/** Steps from a decoded frame to a value: list indices and map keys. */
export type ValuePath = readonly (string | number)[];

/** Name of the value → where in its frame it appears first. */
export type FreshPaths = Readonly<Record<string, ValuePath>>;

export class FreshValues {
  readonly #values = new Map<string, { readonly recorded: Buffer; readonly actual: Buffer }>();

  /** Takes in what a recorded frame introduces, with what the present run has in its place. */
  introduce(fresh: FreshPaths, recorded: unknown, actual: unknown): void {
    for (const [name, path] of Object.entries(fresh)) {
      const [was, is] = [valueBytes(valueAt(recorded, path)), valueBytes(valueAt(actual, path))];
      if (was.length !== is.length) throw new Error(`${name} has another length: record the frames again`);
      const other = [...this.#values.values()].find((one) => one.recorded.equals(was));
      if (other !== undefined && !other.actual.equals(is)) {
        throw new Error(`${name} was recorded with the value of another: record the frames again`);
      }
      this.#values.set(name, { recorded: was, actual: is });
    }
  }

  /** The recorded bytes, with the values of the present run. */
  present(recorded: Uint8Array): Buffer {
    const bytes = Buffer.from(recorded);
    // A key's id begins with its application's: the longer one goes first.
    const longestFirst = [...this.#values.values()].sort((one, other) => other.recorded.length - one.recorded.length);
    for (const { recorded: was, actual: is } of longestFirst) {
      for (let at = bytes.indexOf(was); at >= 0; at = bytes.indexOf(was, at + was.length)) is.copy(bytes, at);
    }
    return bytes;
  }
}

export function valueAt(frame: unknown, path: ValuePath): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<string | number, unknown>)[step], frame);
}

/** The bytes of a value inside msgpack: text and bin without their headers, a time as its eight bytes. */
export function valueBytes(value: unknown): Buffer {
  if (typeof value === "string") return Buffer.from(value, "utf8");
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value !== "number" && typeof value !== "bigint") throw new Error("neither text, bin nor a time");
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
