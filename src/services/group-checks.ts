// What both kinds of tracking ask of the MLS bytes that come with a group's requests (PROTOCOL §4, §5): refusals by
// rule, and signers. Off the turn; keeps nothing.
import type { Malformed } from "../mls/codec/reader.ts";
import type { GroupInfo } from "../mls/group-info.ts";
import type { PublicTree } from "../mls/tree/public-tree.ts";
import { checkSigner } from "../mls/whole-tree.ts";
import type { Refused } from "../actors/actor-port.ts";
import type { Reason } from "../protocol/reasons.ts";
import { refused } from "./service-ports.ts";

/** `details` say which rule of which section is broken (RFC 9420 unless it says otherwise). */
export function broken(reason: Reason, rule: string, section: string, message: string): Refused {
  return refused(reason, { message, details: { rule, section } });
}

/** Bytes that can't be read name their own rule and section. */
export function malformedBytes(reason: Reason, { rule, section, why }: Malformed): Refused {
  return broken(reason, rule, section, why);
}

/** The signer is a member and the signature its own. */
export async function checkSignedBy(info: GroupInfo, tree: PublicTree): Promise<Refused | undefined> {
  const refusal = await checkSigner(info, tree);
  return refusal && broken("GROUP_INFO_INVALID", refusal.rule, refusal.section, refusal.message);
}
