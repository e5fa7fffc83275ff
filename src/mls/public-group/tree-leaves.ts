// Judges the leaf nodes of a whole tree (RFC 9420 §7.3, for a joiner): O(members), signatures a few at a time.
import { requiredCapabilitiesIn } from "../extension.ts";
import type { GroupContext } from "../group-context.ts";
import type { MlsRefusal } from "../rules.ts";
import { finishWith, type Pause, type Work } from "../work.ts";
import { CapabilityDraft } from "./capability-counters.ts";
import type { TreeState } from "./group-draft.ts";
import { checkLeafNode, leafSignature, runSignatureChecks, type LeafTerms, type SignatureCheck } from "./leaf-rules.ts";

/** Fewer than other units: each has its keys imported. */
const LEAVES_PER_STEP = 32;

export async function checkTreeLeaves(
  state: TreeState,
  context: GroupContext,
  terms: LeafTerms & { readonly pause?: Pause },
): Promise<MlsRefusal | undefined> {
  const group = checkGroupSupport(state, context, terms);
  if (group !== undefined) return group;
  const judged = await finishWith(judgeLeavesWork(state, context, terms), terms.pause);
  return judged.refusal ?? runSignatureChecks(judged.signatures);
}

interface JudgedLeaves {
  readonly refusal: MlsRefusal | undefined;
  readonly signatures: readonly SignatureCheck[];
}

function* judgeLeavesWork(state: TreeState, { groupId }: GroupContext, terms: LeafTerms): Work<JudgedLeaves> {
  const signatures: SignatureCheck[] = [];
  for (const [leafIndex, leafNode] of state.tree.members()) {
    if (signatures.length % LEAVES_PER_STEP === 0) yield;
    const refusal = checkLeafNode(leafNode, leafNode.source, undefined, terms);
    if (refusal !== undefined) return { refusal, signatures };
    signatures.push(leafSignature(leafNode, { groupId, leafIndex }, terms));
  }
  return { refusal: undefined, signatures };
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
