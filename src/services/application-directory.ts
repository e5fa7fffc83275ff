// Settings of applications, read from the store and kept for a moment: every request needs them. A change
// is seen at once on the node that made it and within `SETTINGS_FRESH_MS` on others.
import type { ApplicationContext } from "../actors/application-machine.ts";
import type { ActorAddress } from "../actors/actor-port.ts";
import type { Settings } from "../protocol/schemas/application.ts";
import type { Store } from "../store/store.ts";
import { readRecord } from "./service-ports.ts";

const SETTINGS_FRESH_MS = 1000;
/** Applications kept; the one looked up longest ago goes first. */
const APPLICATIONS_MAX = 1024;

interface Kept {
  readonly settings: Promise<Settings | undefined>;
  readonly readAtMs: number;
}

export function applicationAddress(applicationId: string): ActorAddress {
  return { applicationId, kind: "application", id: applicationId };
}

export class ApplicationDirectory {
  readonly #store: Store;
  readonly #kept = new Map<string, Kept>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** undefined: there is no such application (any more). Rejects on an outage of the store. */
  settings(applicationId: string): Promise<Settings | undefined> {
    const kept = this.#kept.get(applicationId);
    if (kept !== undefined && performance.now() - kept.readAtMs < SETTINGS_FRESH_MS) return kept.settings;
    const settings = this.#read(applicationId);
    this.#kept.delete(applicationId);
    this.#kept.set(applicationId, { settings, readAtMs: performance.now() });
    settings.catch(() => this.#kept.delete(applicationId));
    if (this.#kept.size > APPLICATIONS_MAX) {
      for (const oldest of this.#kept.keys()) {
        this.#kept.delete(oldest);
        break;
      }
    }
    return settings;
  }

  forget(applicationId: string): void {
    this.#kept.delete(applicationId);
  }

  async #read(applicationId: string): Promise<Settings | undefined> {
    const record = await readRecord<ApplicationContext>(this.#store, applicationAddress(applicationId));
    return record?.state === "active" ? record.context.settings : undefined;
  }
}
