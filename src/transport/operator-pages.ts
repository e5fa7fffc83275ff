// What the admin port answers an operator, as JSON: the nodes, the shards, and that a node be drained. Asks for the
// operator's key at every call, on loopback too: unlike health and metrics, these tell and change who does the work.
import type { IncomingMessage } from "node:http";
import type { NodesOverview, ShardsOverview } from "../protocol/schemas/operator-pages.ts";
import { bearerToken } from "./authentication.ts";

export interface ClusterOversight {
  nodes(): Promise<NodesOverview>;
  shards(): Promise<ShardsOverview>;
  drain(nodeId: string): Promise<"asked" | "unknownNode" | "lastNode" | "unreachable">;
}

export interface OperatorPagesOptions {
  /** In constant time. */
  isOperator(token: string): boolean;
  readonly cluster: ClusterOversight;
}

export interface OperatorPage {
  readonly status: number;
  readonly body: object;
}

const DRAIN_PATH = /^\/v1\/nodes\/([A-Za-z0-9-]{1,64})\/drain$/;

/** Undefined: the path is none of these. */
export async function operatorPage(
  { isOperator, cluster }: OperatorPagesOptions,
  { method, url = "", headers }: IncomingMessage,
): Promise<OperatorPage | undefined> {
  const path = url.split("?")[0] ?? "";
  const [, nodeId] = DRAIN_PATH.exec(path) ?? [];
  const isList = path === "/v1/nodes" || path === "/v1/shards";
  if (!isList && nodeId === undefined) return undefined;
  const token = bearerToken(headers);
  if (token === undefined || !isOperator(token))
    return refusal(401, "UNAUTHORIZED", "the operator's key is needed, as this node has it");
  const wanted = isList ? "GET" : "POST";
  if (method !== wanted) return refusal(405, "METHOD_NOT_ALLOWED", `only ${wanted}`);
  try {
    if (nodeId !== undefined) return drained(nodeId, await cluster.drain(nodeId));
    return { status: 200, body: path === "/v1/nodes" ? await cluster.nodes() : await cluster.shards() };
  } catch {
    // An outage: whoever asks comes again.
    return refusal(503, "UNAVAILABLE", "this node can't tell now: its store does not answer, or it is starting");
  }
}

function drained(nodeId: string, outcome: Awaited<ReturnType<ClusterOversight["drain"]>>): OperatorPage {
  switch (outcome) {
    case "asked":
      return { status: 202, body: { nodeId, draining: true } };
    case "unknownNode":
      return refusal(404, "NODE_NOT_FOUND", "no such node");
    case "lastNode":
      return refusal(409, "LAST_NODE", "nobody else could take its shards: to end the service, stop its process");
    case "unreachable":
      return refusal(503, "NODE_UNREACHABLE", "the node did not answer; ask it again, or stop its process");
  }
}

function refusal(status: number, reason: string, message: string): OperatorPage {
  return { status, body: { error: { reason, message } } };
}
