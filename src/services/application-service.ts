// Applications, their settings and their keys (PROTOCOL §4), and who a token belongs to. A token's key id
// begins with its application's id, so that finding a key needs no index; a secret is never stored.
import type { ApplicationContext, KeyRecord } from "../actors/application-machine.ts";
import { keyPart } from "../actors/application-machine.ts";
import { applicationPart, REGISTRY } from "../actors/registry-machine.ts";
import { decode } from "../protocol/codec.ts";
import type { Params } from "../protocol/methods.ts";
import { settings as settingsSchema, type Scope, type Settings } from "../protocol/schemas/application.ts";
import { formatToken, freshTokenSecret, parseToken } from "./access-token.ts";
import { applicationAddress, type ApplicationDirectory } from "./application-directory.ts";
import type { Answer, Authentication, Authenticator, Principal, Request, SessionQuotas } from "./request-port.ts";
import type { ExternalSenders } from "./external-senders.ts";
import { providerFault } from "./identity-provider-choice.ts";
import type { Secrets } from "./secrets.ts";
import {
  ask,
  done,
  makeCursor,
  placeOf,
  readCursor,
  readRecord,
  refused,
  refusedUnlessRemembered,
  settledInTime,
  type ServicePorts,
} from "./service-ports.ts";

export interface ApplicationServiceOptions {
  readonly ports: ServicePorts;
  readonly directory: ApplicationDirectory;
  readonly secrets: Secrets;
  readonly senders: ExternalSenders;
  /** The operator's whole token. */
  readonly operatorKey: string;
}

type ListedApplication = { readonly applicationId: string; readonly name: string; readonly createdAt: number };

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const UUID_LENGTH = 36;
const ALL_SCOPES: readonly Scope[] = ["identity", "keyPool", "group"];
const KEYS_READ_MAX = 1000;

export class ApplicationService implements Authenticator {
  readonly #options: ApplicationServiceOptions;
  readonly #operatorMac: Uint8Array;

  constructor(options: ApplicationServiceOptions) {
    this.#options = options;
    this.#operatorMac = options.secrets.hashKeySecret(options.operatorKey);
  }

  async create(request: Request, params: Params<"application.create">): Promise<Answer> {
    const { ports } = this.#options;
    const applicationId = ports.newId();
    const { key, token } = this.#newKey(applicationId, ALL_SCOPES);
    const settings = settingsSchema.parse(params.settings ?? {});
    const fault = providerFault(settings.identityProvider);
    if (fault !== undefined) return { kind: "refused", refusal: fault };
    const senders = this.#options.senders.make(applicationId, settings.ciphersuites);
    const command = { type: "register", applicationId, name: params.name, settings, key, senders, token };
    const outcome = await ask(ports, request, REGISTRY, command, true);
    if (outcome.kind === "refused") return outcome;
    // The key must work when its secret is shown.
    if (!(await settledInTime(outcome, request.deadline))) return refused("OUTCOME_UNKNOWN");
    return done(outcome.value as object);
  }

  async list(_request: Request, { cursor, limit }: Params<"application.list">): Promise<Answer> {
    const { store } = this.#options.ports;
    const after = readCursor("applications", cursor);
    if (after === undefined) return refused("CURSOR_INVALID");
    const { shard, actor } = placeOf(store, REGISTRY);
    const query = {
      prefix: "application/",
      limit: limit + 1,
      ...(after === "" ? {} : { after: applicationPart(after) }),
    };
    const parts = await store.listParts(shard, actor, query);
    const applications = parts.slice(0, limit).map(({ bytes }) => decode(bytes) as ListedApplication);
    const last = applications.at(-1);
    const more = parts.length > limit && last !== undefined;
    return done({ applications, ...(more ? { cursor: makeCursor("applications", last.applicationId) } : {}) });
  }

  async get(request: Request, params: Params<"application.get">): Promise<Answer> {
    const { principal } = request;
    const own = principal.kind === "application" ? principal.applicationId : undefined;
    const applicationId = params.applicationId ?? own;
    if (applicationId === undefined) return refused("BAD_PARAMS", { details: { path: "applicationId" } });
    // Another's application looks like one that does not exist (G9).
    if (own !== undefined && applicationId !== own) return refused("APPLICATION_NOT_FOUND");
    const record = await this.#record(applicationId);
    if (record === undefined) return refused("APPLICATION_NOT_FOUND");
    const { name, settings } = record;
    return done({ applicationId, name, settings, externalSenders: await this.#published(applicationId) });
  }

  async update(request: Request, params: Params<"application.update">): Promise<Answer> {
    const { applicationId, settings } = params;
    const fault = settings.identityProvider && providerFault(settings.identityProvider);
    if (fault !== undefined) return { kind: "refused", refusal: fault };
    const { ports, directory } = this.#options;
    const senders = this.#options.senders.make(applicationId, settings.ciphersuites ?? []);
    const command = { type: "update", settings, senders };
    const outcome = await ask(ports, request, applicationAddress(applicationId), command, true);
    directory.forget(applicationId);
    return outcome.kind === "refused" ? outcome : done(outcome.value as object);
  }

  async delete(request: Request, { applicationId }: Params<"application.delete">): Promise<Answer> {
    const { ports, directory } = this.#options;
    // Remembered where it outlives the application, apart from what others are remembered by there (E4).
    const own = request.key === undefined ? request : { ...request, key: `delete ${applicationId} ${request.key}` };
    const outcome =
      (await this.#record(applicationId)) === undefined
        ? await refusedUnlessRemembered(ports, own, REGISTRY, "APPLICATION_NOT_FOUND")
        : await ask(ports, own, REGISTRY, { type: "unregister", applicationId }, true);
    if (outcome.kind === "refused") return outcome;
    if (!(await settledInTime(outcome, request.deadline))) return refused("OUTCOME_UNKNOWN");
    directory.forget(applicationId);
    return done({});
  }

  async createKey(request: Request, params: Params<"application.createKey">): Promise<Answer> {
    const { applicationId, scopes, expiresAt } = params;
    const { key, token } = this.#newKey(applicationId, scopes, expiresAt);
    const command = { type: "createKey", key, token };
    const { ports } = this.#options;
    const application = applicationAddress(applicationId);
    let outcome = await ask(ports, request, application, command, true);
    if (outcome.kind === "refused" && outcome.refusal.reason === "KEYS_LIMIT") {
      outcome = await ask(
        ports,
        request,
        application,
        { ...command, ended: await this.#endedKeys(applicationId) },
        true,
      );
    }
    return outcome.kind === "refused" ? outcome : done(outcome.value as object);
  }

  async listKeys(_request: Request, { applicationId }: Params<"application.listKeys">): Promise<Answer> {
    if ((await this.#record(applicationId)) === undefined) return refused("APPLICATION_NOT_FOUND");
    const { store } = this.#options.ports;
    const { shard, actor } = placeOf(store, applicationAddress(applicationId));
    const used = await store.listParts(shard, actor, { prefix: "used/", limit: KEYS_READ_MAX });
    const lastUse = new Map(used.map(({ name, bytes }) => [name.slice("used/".length), decode(bytes) as number]));
    const all = await this.#keys(applicationId);
    const keys = all
      .filter((key) => key.revokedAt === undefined)
      .map(({ keyId, scopes, createdAt, expiresAt }) => ({
        keyId,
        scopes,
        createdAt,
        expiresAt,
        lastUsedAt: lastUse.get(keyId),
      }));
    return done({ keys });
  }

  async revokeKey(request: Request, { applicationId, keyId }: Params<"application.revokeKey">): Promise<Answer> {
    const record = await this.#key(applicationId, keyId);
    const command = { type: "revokeKey", keyId, record };
    const outcome = await ask(this.#options.ports, request, applicationAddress(applicationId), command, true);
    return outcome.kind === "refused" ? outcome : done({});
  }

  async authenticate(token: string): Promise<Authentication> {
    const { secrets, ports } = this.#options;
    if (secrets.matchesKeySecret(token, this.#operatorMac)) return { kind: "ok", principal: { kind: "operator" } };
    const keyId = parseToken(token)?.keyId ?? "";
    const applicationId = keyId.slice(0, UUID_LENGTH);
    if (!UUID.test(applicationId)) return { kind: "unknown" };
    const key = await this.#key(applicationId, keyId);
    if (key === undefined || !secrets.matchesKeySecret(token, Buffer.from(key.mac, "hex"))) return { kind: "unknown" };
    if (!this.#stands(key)) return { kind: "forbidden" };
    this.#noteUse(ports, applicationId, keyId);
    return { kind: "ok", principal: { kind: "application", applicationId, keyId, scopes: key.scopes } };
  }

  async stillValid(principal: Principal): Promise<boolean> {
    if (principal.kind === "operator") return true;
    const key = await this.#key(principal.applicationId, principal.keyId);
    return key !== undefined && this.#stands(key);
  }

  async quotas(applicationId: string): Promise<SessionQuotas> {
    const settings = await this.#options.directory.settings(applicationId);
    if (settings === undefined) return {};
    const { sessions, requestsPerSecond } = settings.quotas;
    return { ...(sessions !== null && { sessions }), ...(requestsPerSecond !== null && { requestsPerSecond }) };
  }

  #stands(key: KeyRecord): boolean {
    if (key.revokedAt !== undefined) return false;
    return key.expiresAt === undefined || key.expiresAt > this.#options.ports.clock.now();
  }

  /** Written at the handshake only; a failure costs the operator a date, never the caller a session. */
  #noteUse(ports: ServicePorts, applicationId: string, keyId: string): void {
    const deadline = performance.now() + 5_000;
    void ports.actors.call({
      to: applicationAddress(applicationId),
      command: { type: "noteUse", keyId } as { type: string },
      deadline,
    });
  }

  async #record(applicationId: string): Promise<{ name: string; settings: Settings } | undefined> {
    const record = await readRecord<ApplicationContext>(this.#options.ports.store, applicationAddress(applicationId));
    if (record?.state !== "active" || record.context.settings === undefined) return undefined;
    return { name: record.context.name, settings: record.context.settings };
  }

  async #published(applicationId: string): Promise<object[]> {
    const senders = await this.#options.senders.list(applicationId);
    return senders.map(({ ciphersuite, externalSender }) => ({ ciphersuite, externalSender }));
  }

  async #keys(applicationId: string): Promise<KeyRecord[]> {
    const { store } = this.#options.ports;
    const { shard, actor } = placeOf(store, applicationAddress(applicationId));
    const parts = await store.listParts(shard, actor, { prefix: "key/", limit: KEYS_READ_MAX });
    return parts.map(({ bytes }) => decode(bytes) as KeyRecord);
  }

  /** Those that no longer stand and never will again, the one that ended first before the others. */
  async #endedKeys(applicationId: string): Promise<string[]> {
    const endOf = ({ revokedAt = Infinity, expiresAt = Infinity }: KeyRecord): number => Math.min(revokedAt, expiresAt);
    const ended = (await this.#keys(applicationId)).filter((key) => !this.#stands(key));
    return ended.sort((a, b) => endOf(a) - endOf(b)).map(({ keyId }) => keyId);
  }

  async #key(applicationId: string, keyId: string): Promise<KeyRecord | undefined> {
    const { store } = this.#options.ports;
    const { shard, actor } = placeOf(store, applicationAddress(applicationId));
    const [bytes] = await store.readParts(shard, actor, [keyPart(keyId)]);
    return bytes === undefined ? undefined : (decode(bytes) as KeyRecord);
  }

  #newKey(applicationId: string, scopes: readonly Scope[], expiresAt?: number): { key: KeyRecord; token: string } {
    const { ports, secrets } = this.#options;
    const keyId = `${applicationId}-${ports.newId().slice(0, 8)}`;
    const token = formatToken({ keyId, secret: freshTokenSecret() });
    const mac = Buffer.from(secrets.hashKeySecret(token)).toString("hex");
    const createdAt = ports.clock.now();
    return { key: { keyId, scopes, createdAt, mac, ...(expiresAt === undefined ? {} : { expiresAt }) }, token };
  }
}
