// What both kinds of tracking ask of the MLS bytes that come with a group's requests (PROTOCOL §4, §5): refusals by
// rule, signers, Welcomes by recipient. Off the turn; keeps nothing.
import type { Malformed } from "../mls/codec/reader.ts";
import type { GroupInfo } from "../mls/group-info.ts";
import type { PublicTree } from "../mls/tree/public-tree.ts";
import { readWelcome } from "../mls/welcome.ts";
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

export interface AddressedWelcomes {
  readonly kind: "welcomes";
  /** By hex of the key package's ref: a Welcome with that recipient's secrets only. */
  readonly byRef: ReadonlyMap<string, { readonly keyPackageRef: Uint8Array; readonly welcome: Uint8Array }>;
}

/** Every recipient gets a copy of the group info: a message of megabytes could ask for more than there is memory. */
const SPLIT_BYTES_MAX = 32 * 1024 * 1024;

/** Splits Welcomes by recipient: each gets its own secrets only (§12.4.3.1). */
export function splitWelcomes(welcomes: readonly Uint8Array[], ciphersuite: number): AddressedWelcomes | Refused {
  const byRef = new Map<string, { keyPackageRef: Uint8Array; welcome: Uint8Array }>();
  let splitBytes = 0;
  for (const bytes of welcomes) {
    const decoded = readWelcome(bytes);
    if (decoded.kind === "malformed") return malformedBytes("WELCOME_MISMATCH", decoded);
    if (decoded.value.ciphersuite !== ciphersuite) {
      return broken(
        "WELCOME_MISMATCH",
        "WELCOME_CIPHERSUITE",
        "12.4.3.1",
        "the Welcome is not of the group's ciphersuite",
      );
    }
    const { secrets, encryptedGroupInfo } = decoded.value;
    splitBytes += bytes.length + secrets.length * encryptedGroupInfo.length;
    if (splitBytes > SPLIT_BYTES_MAX) {
      const message = `split by recipient the Welcomes have more than ${String(SPLIT_BYTES_MAX)} bytes: add fewer clients at once, or send the tree beside the GroupInfo`;
      return refused("BAD_PARAMS", { message, details: { path: "welcomes" } });
    }
    for (const { keyPackageRef } of secrets) {
      const ref = Buffer.from(keyPackageRef).toString("hex");
      const welcome = decoded.value.forRecipient(keyPackageRef);
      if (byRef.has(ref) || welcome === undefined) {
        return broken("WELCOME_MISMATCH", "WELCOME_ONCE", "12.4.3.1", "a key package is addressed twice");
      }
      byRef.set(ref, { keyPackageRef, welcome });
    }
  }
  return { kind: "welcomes", byRef };
}
