// Counts what each application uses of this node: sessions and requests a second. Holds an entry only while
// the application has a session or a handshake here.
import type { SessionQuotas } from "../services/request-port.ts";
import { RateLimiter } from "./rate-limiter.ts";

interface Usage {
  sessions: number;
  quotas: SessionQuotas;
  requests: RateLimiter | undefined;
}

export class ApplicationQuotas {
  readonly #usages = new Map<string, Usage>();

  /** Counts a session in, or answers false when the quota is used up. */
  enter(applicationId: string, quotas: SessionQuotas): boolean {
    const usage = this.#usages.get(applicationId) ?? { sessions: 0, quotas: {}, requests: undefined };
    if (quotas.sessions !== undefined && usage.sessions >= quotas.sessions) return false;
    usage.sessions += 1;
    this.#usages.set(applicationId, usage);
    this.update(applicationId, quotas);
    return true;
  }

  leave(applicationId: string): void {
    const usage = this.#usages.get(applicationId);
    if (usage === undefined) return;
    usage.sessions -= 1;
    if (usage.sessions === 0) this.#usages.delete(applicationId);
  }

  update(applicationId: string, quotas: SessionQuotas): void {
    const usage = this.#usages.get(applicationId);
    if (usage === undefined) return;
    usage.quotas = quotas;
    if (quotas.requestsPerSecond === undefined) usage.requests = undefined;
    else if (usage.requests === undefined)
      usage.requests = new RateLimiter(quotas.requestsPerSecond, performance.now());
    else usage.requests.setRate(quotas.requestsPerSecond);
  }

  /** 0 when one more request may pass, and it is counted; else the milliseconds to wait. */
  takeRequest(applicationId: string, nowMs: number): number {
    return this.#usages.get(applicationId)?.requests?.take(nowMs) ?? 0;
  }

  applications(): readonly string[] {
    return [...this.#usages.keys()];
  }
}
