// How delivery and transport learn which stream a client means and where it stands. Types only; the
// stream service implements it.
import type { Refusal } from "../protocol/errors.ts";
import type { ActorKey } from "../store/store.ts";

export interface StreamPosition {
  readonly lineage: string;
  readonly offset: number;
}

/** Where to begin (PROTOCOL S3); absent: an inbox's last acknowledged event, a group's "now". */
export type StreamAfter = StreamPosition | "start" | "now" | { readonly epoch: bigint };

export interface StreamName {
  readonly kind: "client" | "group";
  /** A client's UUID, or a group id's bytes. */
  readonly id: string | Uint8Array;
}

export interface ResolvedStream {
  readonly kind: "ok";
  readonly actor: ActorKey;
  /** Events above this offset are delivered. */
  readonly from: number;
  /** False: `from` is not where the caller wanted to begin, for `reason`. */
  readonly recovered: boolean;
  readonly reason?: "TRIMMED" | "LINEAGE_CHANGED";
  /** What the caller is told: `from` with the stream's present lineage. */
  readonly position: StreamPosition;
  /** The stream's newest offset when this was read. Absent: unknown, the stream is read to find out. */
  readonly last?: number;
}

export type StreamResolution = ResolvedStream | { readonly kind: "refused"; readonly refusal: Refusal };

export interface StreamDirectory {
  /** The actor whose stream this is, whether it exists or not. Pure. */
  actorOf(applicationId: string, name: StreamName): ActorKey;
  /** Never rejects: outages are retryable refusals. */
  resolve(applicationId: string, name: StreamName, after: StreamAfter | undefined): Promise<StreamResolution>;
  /** Drops an inbox's events up to and with `position`. Never rejects. */
  acknowledge(
    applicationId: string,
    clientId: string,
    position: StreamPosition,
  ): Promise<{ readonly kind: "done" } | { readonly kind: "refused"; readonly refusal: Refusal }>;
}
