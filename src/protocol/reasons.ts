// Every reason that Aegis can give for a refusal, once, as data. Nothing else may spell a reason.
// `retryable` means: certainly not applied, and the same request may succeed later (OUTCOME_UNKNOWN
// alone may have been applied). `remedy` is printed in docs/PROTOCOL.md.
import { requestReasons } from "./catalogue/request-reasons.ts";
import { subjectReasons } from "./catalogue/subject-reasons.ts";

export type { GrpcCode } from "./catalogue/reason-entry.ts";

export const reasons = { ...requestReasons, ...subjectReasons };

export type Reason = keyof typeof reasons;
