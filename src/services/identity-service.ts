// The identity service (PROTOCOL §4): judges credentials by the application's provider, then lets handle
// and identity decide. A create is a chain with one home, the handle; every step can be repeated (rule 5).
import type { Applied, Refused } from "../actors/actor-port.ts";
import { clientRecord, TAGS_MAX, type IdentityContext, type IdentityFacts } from "../actors/identity-machine.ts";
import { CLIENTS_LIST } from "../actors/tag-names.ts";
import type { HandleContext } from "../actors/handle-machine.ts";
import { badParams } from "../protocol/check-params.ts";
import { refuse } from "../protocol/errors.ts";
import type { Params } from "../protocol/methods.ts";
import { CreationQuota } from "./creation-quota.ts";
import { CredentialJudge, isJudgedAlike, isSame, type CredentialLimits } from "./credential-judge.ts";
import { lastWithCredential, pastIdentities } from "./identity-history.ts";
import type { Answer, Request } from "./request-port.ts";
import {
  ask,
  begun,
  done,
  handleActorId,
  makeCursor,
  readCursor,
  readRecord,
  readRecords,
  refused,
  refusedUnlessRemembered,
  settledInTime,
  type ActorRecord,
  type ApplicationRequest,
  type ServicePorts,
} from "./service-ports.ts";
import type { TagDirectory } from "./tag-directory.ts";

/** Turns lost to somebody else's change before the caller is told to try again. */
const ATTEMPTS = 5;

type Chain = Promise<Applied | Refused>;

export class IdentityService {
  readonly #ports: ServicePorts;
  readonly #tags: TagDirectory;
  readonly #judge: CredentialJudge;
  readonly #quota: CreationQuota;

  constructor(ports: ServicePorts, tags: TagDirectory, limits: CredentialLimits) {
    this.#ports = ports;
    this.#tags = tags;
    this.#judge = new CredentialJudge(ports, limits);
    this.#quota = new CreationQuota(ports.store, CLIENTS_LIST);
  }

  async create(request: ApplicationRequest, params: Params<"identity.create">): Promise<Answer> {
    const judged = this.#judge.of(request, params.clientIdentity);
    if (judged.kind === "refused") return this.#createdBefore(request, params.clientIdentity, judged);
    if (new Set(params.tags).size > TAGS_MAX) return refused("TAGS_LIMIT");
    const { identities } = request.settings.quotas;
    const created = await this.#quota.within(request.applicationId, identities, () =>
      this.#createSettled(request, judged.facts, params.tags),
    );
    if (created !== undefined) return created;
    const full = refused("QUOTA", { details: { quota: "identities" } });
    return this.#createdBefore(request, params.clientIdentity, full);
  }

  async get(request: ApplicationRequest, { clientIds }: Params<"identity.get">): Promise<Answer> {
    const records = await this.#records(request, clientIds);
    const clients = records.map((record, n) =>
      record === undefined
        ? { clientId: clientIds[n], error: refuse("CLIENT_NOT_FOUND") }
        : clientRecord(record.context),
    );
    return done({ clients });
  }

  async find(request: ApplicationRequest, params: Params<"identity.find">): Promise<Answer> {
    const { all = [], any = [], none = [], limit } = params;
    const after = readCursor("clients", params.cursor);
    if (after === undefined) return refused("CURSOR_INVALID");
    const page = await this.#tags.find(request, { all, any, none }, after, limit);
    if (page.kind === "refused") return page;
    const cursor = page.after === undefined ? {} : { cursor: makeCursor("clients", page.after) };
    return done({ clients: page.clients.map(clientRecord), ...cursor });
  }

  async resolve(request: ApplicationRequest, params: Params<"identity.resolve">): Promise<Answer> {
    const found = this.#handleOf(request, params);
    if (found.kind === "refused") return found;
    const { applicationId } = request;
    const id = handleActorId(found.handle, found.domain);
    const record = await readRecord<HandleContext>(this.#ports.store, { applicationId, kind: "handle", id });
    const { clientId, lastClientId } = record?.context ?? {};
    const [now, last] = await Promise.all(
      [clientId, lastClientId].map((candidate) =>
        candidate === undefined
          ? undefined
          : readRecord<IdentityContext>(this.#ports.store, { applicationId, kind: "identity", id: candidate }),
      ),
    );
    // Who only reserves the handle does not hold it, and may never.
    const holds = now?.state === "active" && now.context.identity?.handleId === id;
    const known = holds ? now : last;
    if (known === undefined) return isAmbiguous(request, params) ? domainMissing() : refused("HANDLE_NOT_FOUND");
    const wanted = params.clientIdentity && Buffer.from(params.clientIdentity).toString("base64");
    const isNamed = wanted === undefined || known.context.identity?.credential === wanted;
    if (isNamed) return resolved(known, holds);
    const holders = (record?.context.holders ?? []).map((one) => this.#address(request, one));
    const held = await lastWithCredential(this.#ports, request, holders, wanted);
    return held.kind === "refused" ? held : resolved(held.record ?? known, false);
  }

  async history(request: ApplicationRequest, params: Params<"identity.history">): Promise<Answer> {
    const { clientId } = params;
    const [record] = await this.#records(request, [clientId]);
    if (record === undefined) return refused("CLIENT_NOT_FOUND");
    const after = readCursor("history", params.cursor);
    if (after === undefined) return refused("CURSOR_INVALID");
    const told = await pastIdentities(this.#ports, request, this.#address(request, clientId), after);
    if (told.kind === "refused") return told;
    const { identity, identitySince } = record.context;
    const present = { credential: identity?.credential ?? "", handle: identity?.handle, from: identitySince };
    // What has become past since the record was read is still the present one here.
    const all = [...told.past.filter(({ until }) => until <= identitySince), present];
    const identities = (told.last === undefined ? all : told.past).map(({ credential, ...rest }) => {
      return { clientIdentity: Buffer.from(credential, "base64"), ...rest };
    });
    return done({ identities, ...(told.last === undefined ? {} : { cursor: makeCursor("history", told.last) }) });
  }

  async update(request: ApplicationRequest, params: Params<"identity.update">): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#updateOnce(request, params);
      if (outcome.kind === "applied") return this.#answerSettled(request, outcome);
      const again = outcome.refusal.reason === "STATE_MOVED" || outcome.refusal.reason === "RESERVATION_EXPIRED";
      if (!again || attempt === ATTEMPTS) return outcome;
    }
  }

  validate(request: ApplicationRequest, { clientIdentity }: Params<"identity.validate">): Promise<Answer> {
    const judged = this.#judge.of(request, clientIdentity);
    if (judged.kind === "refused") {
      return Promise.resolve(done({ valid: false, cause: judged.refusal.details?.["cause"] }));
    }
    const { handle, account, domain, notAfter } = judged.facts;
    return Promise.resolve(done({ valid: true, handle, account, domain, notAfter }));
  }

  async delete(request: ApplicationRequest, { clientId }: Params<"identity.delete">): Promise<Answer> {
    const outcome = await ask(this.#ports, request, this.#address(request, clientId), { type: "delete" }, true);
    if (outcome.kind === "refused") return outcome;
    if (!(await settledInTime(outcome, request.deadline))) return refused("OUTCOME_UNKNOWN");
    return done({});
  }

  /** What an earlier create under this key came to, although it would be refused by now (E4). */
  async #createdBefore(request: ApplicationRequest, credential: Uint8Array, otherwise: Refused): Promise<Answer> {
    const { applicationId, settings } = request;
    const { reason, details = {} } = otherwise.refusal;
    const named = this.#ports.identityProviders.holder(settings, credential);
    if (named === undefined) return otherwise;
    const handle = { applicationId, kind: "handle" as const, id: handleActorId(named.handle, named.domain) };
    const reserved = await refusedUnlessRemembered(this.#ports, request, handle, reason, { details });
    if (reserved.kind === "refused") return reserved;
    const client = this.#address(request, (reserved.value as { clientId: string }).clientId);
    const created = await refusedUnlessRemembered(this.#ports, creationOf(request), client, reason, { details });
    return created.kind === "refused" ? created : this.#answerSettled(request, created);
  }

  /** Until others find it: the quota counts what stands in the index. */
  async #createSettled(request: ApplicationRequest, identity: IdentityFacts, tags: readonly string[]): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#createOnce(request, identity, tags);
      if (outcome.kind === "applied") return this.#answerSettled(request, outcome);
      if (outcome.refusal.reason !== "RESERVATION_EXPIRED" || attempt === ATTEMPTS) return outcome;
    }
  }

  /** Reserve the handle, make the client; the client's outbox then holds the handle and indexes the tags. */
  async #createOnce(request: ApplicationRequest, identity: IdentityFacts, tags: readonly string[]): Chain {
    const { applicationId, key } = request;
    const handle = { applicationId, kind: "handle" as const, id: identity.handleId };
    const proposed = { clientId: this.#ports.newId(), reservation: this.#ports.newId() };
    const command = { type: "reserve", ...proposed, ...(key === undefined ? {} : { key }) };
    const reserved = await ask(this.#ports, request, handle, command, true);
    if (reserved.kind === "refused") return reserved;
    const { clientId, reservation } = reserved.value as typeof proposed;
    const client = this.#address(request, clientId);
    const creation = { type: "create", reservation, identity, tags, retention: request.settings.inboxRetention };
    const created = await ask(this.#ports, creationOf(begun(request)), client, creation, true);
    if (created.kind === "refused") await this.#giveBack(request, clientId, reservation, identity.handleId, created);
    return created;
  }

  async #updateOnce(request: ApplicationRequest, params: Params<"identity.update">): Chain {
    const { clientId, tags, ifVersion, clientIdentity } = params;
    const client = this.#address(request, clientId);
    const command = { type: "update", tags, ifVersion, retention: request.settings.inboxRetention };
    const [record] = await this.#records(request, [clientId]);
    const current = record?.context.identity;
    if (clientIdentity === undefined || current === undefined) {
      // An unknown client is refused by its actor, which may remember this very request.
      return ask(this.#ports, request, client, command, true);
    }
    const judged = this.#judge.of(request, clientIdentity);
    if (isSame(current, clientIdentity) && (judged.kind === "refused" || isJudgedAlike(current, judged.facts))) {
      // It has this identity already, and must still have it at the turn: the answer says that it has. (G4)
      const judgedVersion = record?.context.version;
      return ask(this.#ports, request, client, { ...command, judgedVersion }, true);
    }
    if (judged.kind === "refused") {
      const { reason, details = {} } = judged.refusal;
      return refusedUnlessRemembered(this.#ports, request, client, reason, { details });
    }
    // Another one, or the same under settings that changed since: a new name or end is a new identity.
    const identity = judged.facts;
    const facts = {
      ...command,
      identity,
      judgedVersion: record?.context.version,
      successor: this.#judge.succeeds(request, current, identity),
    };
    if (identity.handleId === current.handleId) return ask(this.#ports, request, client, facts, true);
    const handle = { applicationId: request.applicationId, kind: "handle" as const, id: identity.handleId };
    const proposal = { type: "reserve", clientId, reservation: this.#ports.newId() };
    const reserved = await ask(this.#ports, request, handle, proposal, false);
    if (reserved.kind === "refused") {
      if (reserved.refusal.retryable) return reserved;
      return refusedUnlessRemembered(this.#ports, request, client, reserved.refusal.reason);
    }
    const { reservation } = reserved.value as { reservation: string };
    const updated = await ask(this.#ports, begun(request), client, { ...facts, reservation }, true);
    if (updated.kind === "refused") await this.#giveBack(request, clientId, reservation, identity.handleId, updated);
    return updated;
  }

  /** The identity records that the reservation is void, then tells the handle. Its timer does it otherwise. */
  async #giveBack(
    request: ApplicationRequest,
    clientId: string,
    reservation: string,
    handleId: string,
    { refusal }: Refused,
  ): Promise<void> {
    // Nobody knows what happened, or the caller is gone: the handle's timer settles it.
    if (refusal.reason === "OUTCOME_UNKNOWN" || refusal.code === "UNAVAILABLE") return;
    const command = { type: "settleReservation", reservation, handleId };
    const settled = await ask(this.#ports, request, this.#address(request, clientId), command, false);
    if (settled.kind === "applied") await settledInTime(settled, request.deadline);
  }

  async #answerSettled(request: ApplicationRequest, outcome: Applied): Promise<Answer> {
    if (!(await settledInTime(outcome, request.deadline))) return refused("OUTCOME_UNKNOWN");
    return done(outcome.value as object);
  }

  #handleOf(
    request: ApplicationRequest,
    { clientIdentity, handle, domain }: Params<"identity.resolve">,
  ): { readonly kind: "handle"; readonly handle: string; readonly domain: string | undefined } | Refused {
    if (clientIdentity === undefined) return { kind: "handle", handle: handle ?? "", domain };
    // A client keeps an identity that would not be accepted any more.
    const named = this.#ports.identityProviders.holder(request.settings, clientIdentity);
    if (named !== undefined) return { kind: "handle", handle: named.handle, domain: named.domain };
    const judged = this.#judge.of(request, clientIdentity);
    if (judged.kind === "facts") throw new Error("an accepted credential names its holder");
    return judged;
  }

  #address({ applicationId }: ApplicationRequest, clientId: string) {
    return { applicationId, kind: "identity" as const, id: clientId };
  }

  async #records(
    request: ApplicationRequest,
    clientIds: readonly string[],
  ): Promise<(ActorRecord<IdentityContext> | undefined)[]> {
    const addresses = clientIds.map((clientId) => this.#address(request, clientId));
    const records = await readRecords<IdentityContext>(this.#ports.store, addresses);
    return records.map((record) => (record?.state === "active" ? record : undefined));
  }
}

/**
 * A create's step at the client. Its key is none that callers can name (theirs begin with `s:` or `b:`): the create's
 * own is free for what they ask of the client itself (E4).
 */
function creationOf<R extends Request>(request: R): R {
  return request.key === undefined ? request : { ...request, key: `create/${request.key}` };
}

function resolved({ context: { id, version } }: ActorRecord<IdentityContext>, current: boolean): Answer {
  return done({ clientId: id, version, current });
}

/** A handle alone names nobody where each domain has its own. */
function isAmbiguous({ settings }: ApplicationRequest, { handle, domain }: Params<"identity.resolve">): boolean {
  const { identityProvider: provider } = settings;
  return handle !== undefined && domain === undefined && provider.type === "x509" && provider.supportsDomains;
}

function domainMissing(): Refused {
  return { kind: "refused", refusal: badParams("domain", "expected the domain in which the handle is unique") };
}
