// Where a group goes on that a ReInit ended (RFC 9420 §11.2). The id is reserved at its own actor before the commit
// that announces it, so that no group.create asked after the commit can have missed it. Decision 13.
import type { Refused } from "../actors/actor-port.ts";
import type { FollowedState, GroupContext, SuccessorReservation } from "../actors/group-state.ts";
import type { GroupInfo } from "../mls/group-info.ts";
import { broken } from "./group-checks.ts";
import type { GroupDirectory } from "./group-directory.ts";
import { ask, readRecord, refused, type ApplicationRequest, type ServicePorts } from "./service-ports.ts";

type ReInit = NonNullable<FollowedState["reinit"]>;

export interface AdmittedSuccessor {
  readonly kind: "admitted";
  /** Reservations made so far of the id, real or not; the turn compares. */
  readonly reservations: number;
}

export class Successors {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;

  constructor(ports: ServicePorts, groups: GroupDirectory) {
    this.#ports = ports;
    this.#groups = groups;
  }

  /** Before the commit that announces it. A commit that then loses its epoch leaves a reservation that is void. */
  async reserve(request: ApplicationRequest, context: GroupContext, { groupId }: ReInit): Promise<Refused | undefined> {
    if (groupId.length < 1 || groupId.length > 255) return unusable("the successor's id has 1 to 255 bytes");
    const command = { type: "reserve", predecessor: context.groupId };
    const outcome = await ask(
      this.#ports,
      request,
      this.#groups.address(request.applicationId, groupId),
      command,
      false,
    );
    if (outcome.kind === "applied") return undefined;
    return outcome.refusal.reason === "GROUP_EXISTS" ? unusable("the successor's id is taken") : outcome;
  }

  /** @param founder the client that creates the group; undefined: a stranger, or nobody known */
  async admit(
    request: ApplicationRequest,
    info: GroupInfo,
    founder: string | undefined,
  ): Promise<AdmittedSuccessor | Refused> {
    const { applicationId } = request;
    const record = await readRecord<GroupContext>(this.#ports.store, this.#groups.address(applicationId, info.groupId));
    const { reservations } = record?.context ?? {};
    if (reservations === undefined) return { kind: "admitted", reservations: 0 };
    const judged = await Promise.all(
      reservations.by.map((reservation) => this.#judge(request, info, founder, reservation)),
    );
    const real = judged.filter((one) => one !== "void");
    const fits = real.length === 0 || real.includes("fits");
    if (fits) return { kind: "admitted", reservations: reservations.made };
    if (!real.includes("otherTerms")) {
      return refused("AS_MISMATCH", { message: "a group that a ReInit announced is created by one of its members" });
    }
    const message = "the successor is not of the version and ciphersuite that the ReInit announced";
    return broken("GROUP_INFO_INVALID", "REINIT_TERMS", "11.2", message);
  }

  /** A reservation is real once the group that made it has ended into this one. */
  async #judge(
    { applicationId, settings }: ApplicationRequest,
    info: GroupInfo,
    founder: string | undefined,
    reservation: SuccessorReservation,
  ): Promise<"void" | "fits" | "otherTerms" | "otherFounder"> {
    const predecessor = Buffer.from(reservation.predecessor, "base64");
    const head = await this.#groups.head(applicationId, predecessor);
    const successor = head?.context.successor;
    if (head === undefined || successor?.groupId !== Buffer.from(info.groupId).toString("base64")) return "void";
    const member =
      founder === undefined ? settings.strangers : await this.#groups.isMember(applicationId, head.context, founder);
    if (!member) return "otherFounder";
    const announced = successor.version === info.version && successor.ciphersuite === info.ciphersuite;
    return announced ? "fits" : "otherTerms";
  }
}

function unusable(message: string): Refused {
  return broken("COMMIT_INVALID", "REINIT_GROUP_ID", "11.2", message);
}
