// What other nodes ask of this one, and what becomes of it here. Knows the links' requests; decides nothing of its own.
import type { Call, Outcome } from "../actors/actor-port.ts";
import type { Shard, ShardMark } from "../store/store.ts";
import type { Followers } from "./followers.ts";
import type { CallAnswer, PeerAnswer, PeerNotice, PeerRequest } from "./peer-frames.ts";
import type { PeerSession } from "./peer-link-server.ts";
import { remoteDeadline, type Router } from "./router.ts";

export interface PeerServiceOptions {
  readonly router: Router;
  readonly followers: Followers;
  nodeId(): string;
  isMember(nodeId: string): boolean;
  /** Looks at the members now. */
  look(): Promise<void>;
  /** Calls an actor that lives here. */
  call(call: Call): Promise<Outcome>;
  /** Answers how far the shard's history is known to go. */
  release(shard: Shard): Promise<ShardMark | undefined>;
  markOf(shard: Shard): ShardMark | undefined;
  forgetApplication(applicationId: string): void;
  drainAsked(): void;
}

export class PeerService {
  readonly #options: PeerServiceOptions;

  constructor(options: PeerServiceOptions) {
    this.#options = options;
  }

  async requested(session: PeerSession, request: PeerRequest, ttlMs: number): Promise<PeerAnswer> {
    const { followers, forgetApplication, drainAsked } = this.#options;
    switch (request.kind) {
      case "call":
        return this.#calledFor(request.shard, request.call, ttlMs);
      case "handOver":
        return this.#handOver(session, request.shard, request.to);
      case "attach":
        return answer(followers.attach(session, request.shard, request.actors));
      case "forgetApplication":
        forgetApplication(request.applicationId);
        return answer(true);
      case "drain":
        drainAsked();
        return answer(true);
      default:
        throw new Error("a newer node's request");
    }
  }

  noticed(session: PeerSession, notice: PeerNotice): void {
    if (notice.kind === "detach") this.#options.followers.detach(session, notice.actors);
    else if (notice.kind === "look") void this.#options.look();
  }

  async #handOver(session: PeerSession, shard: Shard, to: string): Promise<PeerAnswer> {
    const { router, isMember, look, release } = this.#options;
    if (!isMember(to)) await look();
    const mark = await release(shard);
    // Ahead of the answer: who claims the shard now may have come too late to have heard how far its history goes.
    if (mark !== undefined) session.notify({ kind: "alive", shards: [[shard, mark]] });
    router.heard(shard, to);
    return answer(true);
  }

  async #calledFor(shard: Shard, call: object, ttlMs: number): Promise<PeerAnswer> {
    const { router, nodeId, markOf } = this.#options;
    const outcome = await this.#options.call({
      ...(call as Omit<Call, "deadline">),
      deadline: remoteDeadline(ttlMs),
    });
    const reached = markOf(shard);
    const mark = reached && { mark: reached };
    if (outcome.kind === "applied") {
      const { settled, ...applied } = outcome;
      return { value: { outcome: applied, ...mark } satisfies CallAnswer, settled };
    }
    const owner = router.ownerOf(shard);
    const hint = owner === undefined || owner === nodeId() ? {} : { owner };
    return answer({ outcome, ...hint, ...mark } satisfies CallAnswer);
  }
}

function answer(value: unknown): PeerAnswer {
  return { value, settled: Promise.resolve(true) };
}
