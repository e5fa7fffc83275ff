// Tells one run from another by all that happened in it, at the price of a few additions an event. No protection
// against anybody: 64 bits, mixed as in FNV-1a.

const PRIME = 0x01000193;
const OTHER_PRIME = 0x85ebca6b;

export class RunDigest {
  readonly #time = new Float64Array(1);
  readonly #timeWords = new Uint32Array(this.#time.buffer);
  #one = 0x811c9dc5;
  #other = 0x2f0b4c47;

  add(atMs: number, machine: string, label: string): void {
    this.#time[0] = atMs;
    this.#mix(this.#timeWords[0] ?? 0);
    this.#mix(this.#timeWords[1] ?? 0);
    this.#text(machine);
    this.#text(label);
  }

  text(): string {
    return [this.#one, this.#other].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #text(text: string): void {
    for (let at = 0; at < text.length; at += 1) this.#mix(text.charCodeAt(at));
    this.#mix(-1);
  }

  #mix(word: number): void {
    this.#one = Math.imul(this.#one ^ word, PRIME);
    this.#other = Math.imul(this.#other ^ word ^ (this.#other >>> 15), OTHER_PRIME);
  }
}
