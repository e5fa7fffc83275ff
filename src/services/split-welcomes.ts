// Welcomes by recipient: each gets its own secrets only (RFC 9420 §12.4.3.1). The encrypted GroupInfo, which is the same
// for all of them, is stored once where more than one inbox is to hold it. Keeps nothing.
import type { Refused } from "../actors/actor-port.ts";
import type { SubmitCommitCommand } from "../actors/group-state.ts";
import { readWelcome, welcomeFor } from "../mls/welcome.ts";
import { broken, malformedBytes } from "./group-checks.ts";
import { refused } from "./service-ports.ts";

export interface AddressedWelcome {
  readonly keyPackageRef: Uint8Array;
  /** EncryptedGroupSecrets. */
  readonly secrets: Uint8Array;
  /** Which of the Welcomes. */
  readonly of: number;
}

export interface SplitWelcomes {
  readonly kind: "welcomes";
  readonly ciphersuite: number;
  /** By hex of the key package's ref. */
  readonly byRef: ReadonlyMap<string, AddressedWelcome>;
  /** Of each Welcome. */
  readonly encryptedGroupInfos: readonly Uint8Array[];
}

export interface WholeWelcome {
  readonly keyPackageRef: Uint8Array;
  readonly welcome: Uint8Array;
}

/** Who gives nobody's client a Welcome gets it back whole: a message of megabytes could ask for more than there is memory. */
const WHOLE_BYTES_MAX = 32 * 1024 * 1024;

export function splitWelcomes(welcomes: readonly Uint8Array[], ciphersuite: number): SplitWelcomes | Refused {
  const byRef = new Map<string, AddressedWelcome>();
  const encryptedGroupInfos: Uint8Array[] = [];
  for (const [of, bytes] of welcomes.entries()) {
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
    encryptedGroupInfos.push(decoded.value.encryptedGroupInfo);
    for (const { keyPackageRef, bytes: secrets } of decoded.value.secrets) {
      const ref = Buffer.from(keyPackageRef).toString("hex");
      if (byRef.has(ref)) {
        return broken("WELCOME_MISMATCH", "WELCOME_ONCE", "12.4.3.1", "a key package is addressed twice");
      }
      byRef.set(ref, { keyPackageRef, secrets, of });
    }
  }
  return { kind: "welcomes", ciphersuite, byRef, encryptedGroupInfos };
}

/** Each a whole MLSMessage of its own. */
export function wholeWelcomes(
  split: SplitWelcomes,
  addressed: readonly AddressedWelcome[],
): { readonly kind: "whole"; readonly welcomes: readonly WholeWelcome[] } | Refused {
  const bytes = addressed.reduce((sum, { secrets, of }) => sum + secrets.length + groupInfoOf(split, of).length, 0);
  if (bytes > WHOLE_BYTES_MAX) {
    const message = `the Welcomes for nobody's clients have more than ${String(WHOLE_BYTES_MAX)} bytes by recipient: add fewer at once, or send the tree beside the GroupInfo`;
    return refused("BAD_PARAMS", { message, details: { path: "welcomes" } });
  }
  return { kind: "whole", welcomes: addressed.map((one) => wholeWelcome(split, one)) };
}

export type WelcomesToInboxes = Required<Pick<SubmitCommitCommand, "added" | "sharedWelcomes">>;

/** What the group's actor is told of Welcomes that go to inboxes. */
export function welcomesToInboxes(
  split: SplitWelcomes,
  recipients: readonly { readonly clientId: string; readonly addressed: AddressedWelcome | undefined }[],
): WelcomesToInboxes {
  const counts = new Map<number, number>();
  for (const { addressed } of recipients) {
    if (addressed !== undefined) counts.set(addressed.of, (counts.get(addressed.of) ?? 0) + 1);
  }
  const isShared = (of: number): boolean => (counts.get(of) ?? 0) > 1;
  const added = recipients.map(({ clientId, addressed }) => {
    if (addressed === undefined) return { clientId };
    const { keyPackageRef, secrets, of } = addressed;
    if (isShared(of)) return { clientId, keyPackageRef, shared: { of, secrets } };
    return { clientId, ...wholeWelcome(split, addressed) };
  });
  const shared = [...counts.keys()].filter(isShared);
  return { added, sharedWelcomes: shared.map((of) => ({ of, encryptedGroupInfo: groupInfoOf(split, of) })) };
}

function wholeWelcome(split: SplitWelcomes, { keyPackageRef, secrets, of }: AddressedWelcome): WholeWelcome {
  return { keyPackageRef, welcome: welcomeFor(split.ciphersuite, secrets, groupInfoOf(split, of)) };
}

function groupInfoOf({ encryptedGroupInfos }: SplitWelcomes, of: number): Uint8Array {
  return encryptedGroupInfos[of] as Uint8Array;
}
