// Who is behind an upgrade request, and whether they still may be: the bearer token read strictly, and a
// watch over the keys of open sessions. Never logs or keeps a token.
import type { IncomingHttpHeaders } from "node:http";
import type { Authenticator, Principal, SessionQuotas } from "../services/request-port.ts";
import { parseToken } from "../services/access-token.ts";

/** The whole token, if the header is exactly one well-formed bearer token (RFC 6750 §2.1). */
export function bearerToken(headers: IncomingHttpHeaders): string | undefined {
  // The scheme's name is case-insensitive (RFC 9110 §11.1); the rest is ours to be strict about.
  const [, token] = /^bearer ([\x21-\x7e]{1,400})$/i.exec(headers.authorization ?? "") ?? [];
  return token !== undefined && parseToken(token) !== undefined ? token : undefined;
}

export interface KeyHolder {
  /** The key was revoked, has expired, or its application is gone. */
  keyRevoked(): void;
}

type ApplicationPrincipal = Extract<Principal, { kind: "application" }>;

interface WatchedKey {
  readonly principal: ApplicationPrincipal;
  readonly holders: Set<KeyHolder>;
}

export interface KeyWatchOptions {
  readonly authenticator: Pick<Authenticator, "stillValid" | "quotas">;
  readonly keyCheckMs: number;
  quotasRead(applicationId: string, quotas: SessionQuotas): void;
  bug(where: string, error: unknown): void;
}

/** Look-ups on their way at once. */
const LOOKUPS_MAX = 64;

/** Looks at each distinct key of open sessions every `keyCheckMs` (C2: within 2 s on every node). */
export class KeyWatch {
  readonly #options: KeyWatchOptions;
  readonly #keys = new Map<string, WatchedKey>();
  readonly #timer: NodeJS.Timeout;
  #looking = false;

  constructor(options: KeyWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), options.keyCheckMs);
    this.#timer.unref();
  }

  add(principal: ApplicationPrincipal, holder: KeyHolder): void {
    const name = watchName(principal);
    const watched = this.#keys.get(name);
    if (watched === undefined) this.#keys.set(name, { principal, holders: new Set([holder]) });
    else watched.holders.add(holder);
  }

  remove(principal: ApplicationPrincipal, holder: KeyHolder): void {
    const watched = this.#keys.get(watchName(principal));
    watched?.holders.delete(holder);
    if (watched?.holders.size === 0) this.#keys.delete(watchName(principal));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const lookups = [
      ...[...this.#keys.values()].map((watched) => () => this.#lookAtKey(watched)),
      ...[...new Set([...this.#keys.values()].map(({ principal }) => principal.applicationId))].map(
        (applicationId) => () => this.#lookAtQuotas(applicationId),
      ),
    ];
    const next = lookups.values();
    const work = async (): Promise<void> => {
      for (const lookup of next) await lookup();
    };
    try {
      await Promise.all(Array.from({ length: Math.min(LOOKUPS_MAX, lookups.length) }, work));
    } catch (error) {
      this.#options.bug("key watch", error);
    } finally {
      this.#looking = false;
    }
  }

  async #lookAtKey({ principal, holders }: WatchedKey): Promise<void> {
    let valid: boolean;
    try {
      valid = await this.#options.authenticator.stillValid(principal);
    } catch {
      // The store is away: nothing runs without it, so nothing is gained by cutting sessions. Next round.
      return;
    }
    if (!valid) for (const holder of [...holders]) holder.keyRevoked();
  }

  async #lookAtQuotas(applicationId: string): Promise<void> {
    try {
      this.#options.quotasRead(applicationId, await this.#options.authenticator.quotas(applicationId));
    } catch {
      // As above: the quotas known last hold on.
    }
  }
}

function watchName({ applicationId, keyId }: ApplicationPrincipal): string {
  return `${applicationId}/${keyId}`;
}
