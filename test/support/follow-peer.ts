// The same following, of the same commit, here and with ts-mls' own functions: signature, path, tree hash.
import { decodeMlsMessage, getCiphersuiteFromName, getCiphersuiteImpl, type UpdatePath } from "ts-mls";
import { verifyFramedContentSignature } from "ts-mls/framedContent.js";
import { decodeGroupContext } from "ts-mls/groupContext.js";
import { decodeRatchetTree } from "ts-mls/ratchetTree.js";
import { treeHashRoot } from "ts-mls/treeHash.js";
import { toLeafIndex } from "ts-mls/treemath.js";
import { applyUpdatePath } from "ts-mls/updatePath.js";
import { readGroupMessage, type PublicCommit } from "../../src/mls/framing.ts";
import { followCommit } from "../../src/mls/public-group/follow-commit.ts";
import { SyntheticGroup } from "./synthetic-group.ts";

export interface PeerFigures {
  readonly size: number;
  readonly ownMicros: number;
  readonly peerMicros: number;
}

const OWN_ROUNDS = 50;
const WARM_ROUNDS = 20;

export async function runPeer(size: number): Promise<PeerFigures> {
  const group = SyntheticGroup.create(size, { historyEvery: 2 });
  const committer = Math.floor(size / 2);
  const bytes = group.commit({ committer }).message;
  const own = async (): Promise<void> => {
    const message = readGroupMessage(bytes);
    if (message.kind === "malformed") throw new Error(message.why);
    const outcome = await followCommit(group.group, message.value as PublicCommit, group.terms());
    if (outcome.kind !== "followed") throw new Error(JSON.stringify(outcome));
  };
  for (let round = 0; round < WARM_ROUNDS; round += 1) await own();
  const ownMicros = await cpuOf(async () => {
    for (let round = 0; round < OWN_ROUNDS; round += 1) await own();
  });
  return { size, ownMicros: ownMicros / OWN_ROUNDS, peerMicros: await peerMicrosOf(group, bytes, committer) };
}

async function peerMicrosOf(group: SyntheticGroup, bytes: Uint8Array, committer: number): Promise<number> {
  const impl = await getCiphersuiteImpl(getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"));
  const tree = decodeRatchetTree(group.group.snapshot().ratchetTree, 0)?.[0];
  const context = decodeGroupContext(group.group.groupContext, 0)?.[0];
  if (tree === undefined || context === undefined) throw new Error("not decoded");
  return cpuOf(async () => {
    const message = decodeMlsMessage(bytes, 0)?.[0];
    if (message?.wireformat !== "mls_public_message") throw new Error("not decoded");
    const { content, auth } = message.publicMessage;
    if (content.contentType !== "commit") throw new Error("not a commit");
    const key = group.member(committer).signatureKey;
    await verifyFramedContentSignature(key, "mls_public_message", content, auth, context, impl.signature);
    const path = content.commit.path as UpdatePath;
    const merged = await applyUpdatePath(tree, toLeafIndex(committer), path, impl.hash);
    await treeHashRoot(merged, impl.hash);
  });
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
