// One call that a worker of a load makes. Types only.
import type { AegisClient } from "../../src/client/client.ts";

export interface LoadStep {
  readonly client: AegisClient;
  readonly worker: number;
  readonly ttlMs: number;
  /** In [0, 1): what is done is drawn from it. */
  readonly choice: number;
}
