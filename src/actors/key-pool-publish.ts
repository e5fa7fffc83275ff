// One publish as the key pool's effects: each package judged by itself, in order (PROTOCOL §4). Pure.
import type { rejections } from "../protocol/schemas/key-pool.ts";
import type { Directory, Effect, TurnFacts } from "./effects.ts";
import type { InboxRetention } from "./inbox.ts";
import {
  dropEffects,
  handedOutPart,
  keyMark,
  labelFromHex,
  packageName,
  parsePackageName,
  queuePrefix,
  usableIn,
  type QueuedPackage,
} from "./key-pool-queues.ts";

export type Rejection = keyof typeof rejections;

/** A package that passed M1, with what the marks said of it at `generation`. */
export interface OfferedPackage extends Omit<QueuedPackage, "name" | "labelHex"> {
  /** Position in the request; -1: the last resort. */
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly used: boolean;
  readonly keysKnown: boolean;
  /** They were known as this very package's: it stood, or had gone out. Not in what older nodes send. */
  readonly cameBefore?: boolean;
}

/** A publish is judged against one, and the turn compares (L4). */
export interface PoolGeneration {
  /** Rises with whatever lets keys come or go. A claim does neither. */
  readonly generation: number;
  /** Lineage in which it began: another history may come to its number. Not in what older nodes send or stored. */
  readonly begunIn?: string;
}

export interface PublishCommand extends PoolGeneration {
  readonly type: "publish";
  readonly identityVersion: number;
  readonly labelHex: string;
  readonly offered: readonly OfferedPackage[];
  /** Packages that failed M1, as they will be answered. */
  readonly rejected: readonly { readonly index: number; readonly reason: Rejection; readonly message: string }[];
  readonly reset: boolean;
  /** Packages a queue can hold. */
  readonly queueMax: number;
  readonly low: number;
  readonly target: number;
  readonly inboxRetention: InboxRetention;
}

/** Packages of one pool, whatever their queue: what one turn can drop. */
export const PACKAGES_MAX = 10_000;

interface PoolAddress {
  readonly applicationId: string;
  readonly id: string;
}

interface PoolHead {
  readonly identityVersion: number;
}

export interface Published {
  readonly effects: readonly Effect[];
  /** Every package that stands now. */
  readonly names: readonly string[];
  /** What was thrown out and what was taken in; a package that a reset threw out and that came again is in both. */
  readonly gone: readonly string[];
  readonly come: readonly string[];
}

/** An event to the inbox of the pool's client, through the outbox. */
export function oweToClient(
  pool: PoolAddress,
  { inboxRetention }: { readonly inboxRetention: InboxRetention },
  type: string,
  body: object,
): Effect {
  return {
    type: "tell",
    to: { applicationId: pool.applicationId, kind: "identity", id: pool.id },
    command: { type: "deliver", event: { type, body }, retention: inboxRetention } as { type: string },
  };
}

export function publishEffects(pool: PoolHead, event: PublishCommand & TurnFacts): Published {
  const publishing = new Publishing(event);
  if (event.identityVersion > pool.identityVersion) publishing.dropAll();
  if (event.reset) publishing.reset();
  for (const offered of event.offered) publishing.offer(offered);
  return publishing.finish();
}

class Publishing {
  readonly #event: PublishCommand & TurnFacts;
  readonly #effects: Effect[] = [];
  /** Names as they will stand after this publish. */
  readonly #names: Set<string>;
  readonly #gone: string[] = [];
  readonly #come: string[] = [];
  readonly #byRef = new Map<string, string>();
  readonly #queues = new Map<string, Set<string>>();
  readonly #freedKeys = new Set<string>();
  readonly #newKeys = new Set<string>();
  readonly #accepted: Uint8Array[] = [];
  readonly #rejected: { index: number; reason: Rejection; message: string }[];

  constructor(event: PublishCommand & TurnFacts) {
    this.#event = event;
    this.#names = new Set(allNames(event.directory));
    for (const name of this.#names) {
      this.#byRef.set(parsePackageName(name).refHex, name);
      this.#queueOf(name).add(name);
    }
    this.#rejected = [...event.rejected];
  }

  /** The identity changed: nothing under the old one may go out. */
  dropAll(): void {
    for (const name of [...this.#names]) this.#drop(name);
  }

  reset(): void {
    for (const name of [...this.#names]) if (parsePackageName(name).labelHex === this.#event.labelHex) this.#drop(name);
  }

  offer(offered: OfferedPackage): void {
    const { refHex, ciphersuite, keyHashes, index } = offered;
    const standing = this.#byRef.get(refHex);
    // Only as the last resort that it still is may a package that went out be sent again.
    if (this.#wentOut(offered, standing) && (standing === undefined || index !== -1)) {
      return this.#reject(index, "USED", "this package was handed out before");
    }
    if (standing !== undefined) {
      this.#accepted.push(Buffer.from(refHex, "hex"));
      return;
    }
    const known = keyHashes.some((hash) => this.#newKeys.has(hash)) || (offered.keysKnown && !this.#freed(keyHashes));
    if (known) return this.#reject(index, "INIT_KEY", "a key of this package came with another package");
    const kind = index === -1 ? "last" : "once";
    const queued = this.#queueOf(queuePrefix(kind, ciphersuite, this.#event.labelHex));
    if (kind === "once" && queued.size >= this.#event.queueMax) {
      return this.#reject(index, "POOL_FULL", `the queue holds ${String(this.#event.queueMax)} packages`);
    }
    // A new last resort takes the place of the one before it.
    if (kind === "last") for (const name of [...queued]) this.#drop(name);
    if (this.#names.size >= PACKAGES_MAX) {
      return this.#reject(index, "POOL_FULL", `the pool holds ${String(PACKAGES_MAX)} packages in all its queues`);
    }
    this.#put(packageName(kind, { ...offered, labelHex: this.#event.labelHex }), offered);
  }

  finish(): Published {
    const value = {
      accepted: this.#accepted,
      rejected: this.#rejected.sort((a, b) => a.index - b.index),
      available: this.#available(),
    };
    this.#effects.push({ type: "reply", value });
    return { effects: this.#effects, names: [...this.#names], gone: this.#gone, come: this.#come };
  }

  /** Every queue of the label, the last resort not counted. */
  #available(): object[] {
    const { labelHex, now } = this.#event;
    const queues = new Map<number, number>();
    const queued = usableIn(
      [...this.#names].filter((name) => name.startsWith("once/")),
      now,
    );
    for (const { ciphersuite, labelHex: own } of queued) {
      if (own === labelHex) queues.set(ciphersuite, (queues.get(ciphersuite) ?? 0) + 1);
    }
    const label = labelFromHex(labelHex);
    return [...queues].sort(([a], [b]) => a - b).map(([ciphersuite, available]) => ({ ciphersuite, label, available }));
  }

  /** @param name a package's, or only the prefix of its queue */
  #queueOf(name: string): Set<string> {
    const [kind, ciphersuite, labelHex] = name.split("/", 3);
    const prefix = `${String(kind)}/${String(ciphersuite)}/${String(labelHex)}`;
    const queue = this.#queues.get(prefix) ?? new Set();
    this.#queues.set(prefix, queue);
    return queue;
  }

  #put(name: string, offered: OfferedPackage): void {
    this.#names.add(name);
    this.#come.push(name);
    this.#queueOf(name).add(name);
    this.#byRef.set(offered.refHex, name);
    const ref = Buffer.from(offered.refHex, "hex");
    this.#accepted.push(ref);
    this.#effects.push({ type: "putPart", name, bytes: offered.bytes });
    for (const hash of offered.keyHashes) {
      this.#newKeys.add(hash);
      this.#effects.push({ type: "putMark", name: keyMark(hash), bytes: ref, expiresAt: offered.notAfter });
    }
  }

  #drop(name: string): void {
    const { refHex, keyHashes } = parsePackageName(name);
    this.#names.delete(name);
    this.#gone.push(name);
    this.#queueOf(name).delete(name);
    this.#byRef.delete(refHex);
    this.#effects.push(...dropEffects(this.#event.directory, [name]));
    if (this.#event.directory.has(handedOutPart(refHex))) return;
    for (const hash of keyHashes) this.#freedKeys.add(hash);
  }

  /** Before the marks were read or since: a claim makes no new generation, or a pool in use could not be filled. */
  #wentOut({ refHex, keyHashes, used, cameBefore = false }: OfferedPackage, standing: string | undefined): boolean {
    if (used) return true;
    if (standing !== undefined) return this.#event.directory.has(handedOutPart(refHex));
    return cameBefore && !this.#freed(keyHashes);
  }

  /** Keys whose package this very publish threw out are new again. */
  #freed(keyHashes: readonly string[]): boolean {
    return keyHashes.every((hash) => this.#freedKeys.has(hash));
  }

  #reject(index: number, reason: Rejection, message: string): void {
    this.#rejected.push({ index, reason, message });
  }
}

function allNames(directory: Directory): readonly string[] {
  return [...directory.list("once/"), ...directory.list("last/")];
}
