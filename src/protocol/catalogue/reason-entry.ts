// What is said of a reason for a refusal. No reason is named here.

/** gRPC status names, as they stand in an error's `code`. */
export type GrpcCode =
  | "CANCELLED"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED";

export interface ReasonEntry {
  readonly code: GrpcCode;
  readonly retryable: boolean;
  /** What happened, one sentence. */
  readonly message: string;
  /** What the caller should do about it. */
  readonly remedy: string;
}
