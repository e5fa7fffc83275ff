// Judges the leaf nodes of a whole tree (RFC 9420 §7.3, for a joiner): O(members), signatures in slices.
import { requiredCapabilitiesIn } from "../extension.ts";
import type { GroupContext } from "../group-context.ts";
import type { MlsRefusal } from "../rules.ts";
import { CapabilityDraft } from "./capability-counters.ts";
import type { TreeState } from "./group-draft.ts";
import { checkLeafNode, leafSignature, runSignatureChecks, type LeafTerms, type SignatureCheck } from "./leaf-rules.ts";

/** Signatures verified at once: enough for the thread pool, little enough to let others at it. */
const SIGNATURES_AT_ONCE = 32;

export async function checkTreeLeaves(
  state: TreeState,
  context: GroupContext,
  terms: LeafTerms,
): Promise<MlsRefusal | undefined> {
  const group = checkGroupSupport(state, context, terms);
  if (group !== undefined) return group;
  let checks: SignatureCheck[] = [];
  for (const [leafIndex, leafNode] of state.tree.members()) {
    const refusal = checkLeafNode(leafNode, leafNode.source, undefined, terms);
    if (refusal !== undefined) return refusal;
    checks.push(leafSignature(leafNode, { groupId: context.groupId, leafIndex }, terms));
    if (checks.length < SIGNATURES_AT_ONCE) continue;
    const unsigned = await runSignatureChecks(checks);
    if (unsigned !== undefined) return unsigned;
    checks = [];
  }
  return runSignatureChecks(checks);
}

/** What all members must support together (§7.3, §11.1, §13.4). */
export function checkGroupSupport(
  state: TreeState,
  context: Pick<GroupContext, "extensions">,
  { judge }: Pick<LeafTerms, "judge">,
): MlsRefusal | undefined {
  const capabilities = new CapabilityDraft(state.counters, state.tree.memberCount, state.credentialTypes);
  const required = requiredCapabilitiesIn(context.extensions);
  return (
    judge.when(required !== undefined && !capabilities.supportsRequired(required), "REQUIRED_CAPABILITIES") ??
    judge.when(!capabilities.supportsContext(context.extensions), "CONTEXT_EXTENSION_SUPPORT") ??
    judge.when(!capabilities.supportsCredentialsInUse(), "CREDENTIAL_TYPE_SUPPORT")
  );
}
