// What the demo prints: scenes, and lines that say who did what.

export class Transcript {
  #scenes = 0;

  scene(title: string): void {
    this.#scenes += 1;
    console.log(`\n${this.#scenes}. ${title}`);
  }

  line(who: string, what: string): void {
    console.log(`   ${who.padEnd(14)} ${what}`);
  }
}

/** The beginning of something long and random, enough to compare by eye. */
export function short(bytes: Uint8Array | string): string {
  return (typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("hex")).slice(0, 12);
}
