// A GroupInfo and the tree that came with it (RFC 9420 §12.4.3): decoded, held against each other, judged. Small trees
// in steps on the event loop, large ones on a worker thread (PROTOCOL M9). Keeps nothing.
import type { NewTree } from "../actors/group-trees.ts";
import type { Refused } from "../actors/actor-port.ts";
import { readGroupInfo, type GroupInfo } from "../mls/group-info.ts";
import type { Rule } from "../mls/rules.ts";
import { equalBytes } from "../mls/suites.ts";
import { judgeWholeTree, type WholeTree, type WholeTreeRefusal, type WholeTreeTask } from "../mls/whole-tree.ts";
import { broken, malformedBytes } from "./group-checks.ts";
import { pause, type ApplicationRequest, type ServicePorts } from "./service-ports.ts";
import { TreeLeaves } from "./tree-leaves.ts";
import type { TreeWorkers } from "./tree-workers.ts";

export interface CheckedTree {
  readonly stored: NewTree;
  readonly leaves: TreeLeaves;
}

export interface CheckedGroupInfo {
  readonly kind: "groupInfo";
  readonly info: GroupInfo;
  /** Present where a tree came with it, in its extension or beside it. */
  readonly tree: CheckedTree | undefined;
}

/** Larger trees go to a worker thread: handing one over costs what judging a few leaves does. */
const SMALL_TREE_BYTES = 65_536;

export class GroupInfoChecks {
  readonly #ports: Pick<ServicePorts, "identityProviders" | "clock">;
  readonly #workers: Pick<TreeWorkers, "judge">;
  readonly #rulesOff: readonly Rule[];

  /** @param rulesOff none but in tests that switch one off */
  constructor(
    ports: Pick<ServicePorts, "identityProviders" | "clock">,
    workers: Pick<TreeWorkers, "judge">,
    rulesOff: readonly Rule[] = [],
  ) {
    this.#ports = ports;
    this.#workers = workers;
    this.#rulesOff = rulesOff;
  }

  /**
   * Hashes equal, the signer in the tree, the signature its own.
   * @param joining the whole tree is judged as a joiner would (§12.4.3.1)
   */
  async check(
    request: ApplicationRequest,
    bytes: Uint8Array,
    beside: Uint8Array | undefined,
    joining: boolean,
  ): Promise<CheckedGroupInfo | Refused> {
    const decoded = readGroupInfo(bytes);
    if (decoded.kind === "malformed") return malformedBytes("GROUP_INFO_INVALID", decoded);
    const info = decoded.value;
    const treeBytes = beside ?? info.ratchetTree;
    if (treeBytes === undefined) return { kind: "groupInfo", info, tree: undefined };
    if (beside !== undefined && info.ratchetTree !== undefined && !equalBytes(beside, info.ratchetTree)) {
      return broken(
        "TREE_INVALID",
        "GROUP_INFO_TREE",
        "12.4.3.3",
        "the tree beside the GroupInfo is not the one in it",
      );
    }
    const task = this.#task(request, bytes, beside, joining);
    const verdict = await this.#judge(request, task, treeBytes.length);
    if (verdict.kind === "refused") return "refusal" in verdict ? verdict : refusalOf(verdict);
    const stored = {
      encoded: treeBytes,
      treeHash: Buffer.from(info.treeHash).toString("base64"),
      bytes: treeBytes.length,
      members: verdict.leaves.length,
    };
    return { kind: "groupInfo", info, tree: { stored, leaves: new TreeLeaves(verdict) } };
  }

  #judge(
    request: ApplicationRequest,
    task: WholeTreeTask,
    treeBytes: number,
  ): Promise<WholeTree | WholeTreeRefusal | Refused> {
    if (treeBytes > SMALL_TREE_BYTES) return this.#workers.judge(request.applicationId, task, request.deadline);
    return judgeWholeTree(task, { provider: this.#ports.identityProviders.of(request.settings), pause });
  }

  #task(
    { settings }: ApplicationRequest,
    groupInfo: Uint8Array,
    ratchetTree: Uint8Array | undefined,
    joining: boolean,
  ): WholeTreeTask {
    if (!joining) return { groupInfo, ratchetTree };
    const provider = settings.identityProvider as NonNullable<WholeTreeTask["joiner"]>["provider"];
    return {
      groupInfo,
      ratchetTree,
      joiner: { provider, nowMs: this.#ports.clock.now(), rulesOff: this.#rulesOff },
    };
  }
}

function refusalOf({ of, rule, section, message }: WholeTreeRefusal): Refused {
  return broken(of === "tree" ? "TREE_INVALID" : "GROUP_INFO_INVALID", rule, section, message);
}
