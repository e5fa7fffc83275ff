// A token bucket on the monotonic clock: at most `perSecond` a second, and one second's worth at once.

/** What a caller is told to wait at most: a rate may be zero. */
const WAIT_MS_MAX = 60_000;

export class RateLimiter {
  #perSecond: number;
  #tokens: number;
  #filledAt: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#tokens = Math.max(1, perSecond);
    this.#filledAt = nowMs;
  }

  setRate(perSecond: number): void {
    this.#perSecond = perSecond;
  }

  /** 0 when one more may pass, and it is counted; else the milliseconds to wait. */
  take(nowMs: number): number {
    const filled = this.#tokens + ((nowMs - this.#filledAt) / 1000) * this.#perSecond;
    this.#tokens = Math.min(filled, Math.max(1, this.#perSecond));
    this.#filledAt = nowMs;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.min(WAIT_MS_MAX, Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000));
  }
}
