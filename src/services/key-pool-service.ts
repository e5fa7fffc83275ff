// The key pool service (PROTOCOL §4, M1): judges packages off the turn, finds the clients that a claim
// means, and lets each client's pool decide. A claim is one command a client, each with its own outcome.
import { createHash } from "node:crypto";
import type { IdentityContext, IdentityFacts } from "../actors/identity-machine.ts";
import type { LowTerms } from "../actors/key-pool-low.ts";
import type { KeyPoolContext } from "../actors/key-pool-machine.ts";
import type { OfferedPackage, PoolGeneration, PublishCommand, Rejection } from "../actors/key-pool-publish.ts";
import { keyMark, labelFromHex, labelToHex, parsePackageName, usedMark } from "../actors/key-pool-queues.ts";
import { checkKeyPackage } from "../mls/key-package-check.ts";
import type { KeyPackageFacts } from "../mls/key-package.ts";
import { refuse } from "../protocol/errors.ts";
import type { Params } from "../protocol/methods.ts";
import type { claimFailures } from "../protocol/schemas/key-pool.ts";
import { isLastResort, packageNames, queuesOf } from "./key-pool-contents.ts";
import type { Answer } from "./request-port.ts";
import {
  ask,
  done,
  nextStep,
  placeOf,
  readRecord,
  readRecords,
  refused,
  refusedUnlessRemembered,
  type ApplicationRequest,
  type ServicePorts,
} from "./service-ports.ts";
import type { TagDirectory } from "./tag-directory.ts";

type ClaimFailure = keyof typeof claimFailures;

interface Judged {
  /** Of the identity by which they were judged. */
  readonly identityVersion: number;
  readonly valid: readonly { readonly index: number; readonly facts: KeyPackageFacts; readonly bytes: Uint8Array }[];
  readonly rejected: readonly { readonly index: number; readonly reason: Rejection; readonly message: string }[];
}

/** Clients that one claim can reach. */
const TARGETS_MAX = 1000;
/** Turns lost to somebody else's change before the caller is told to try again. */
const ATTEMPTS = 10;
/** Pools whose packages' names are read in one step. */
const POOLS_AT_ONCE = 8;
/** Enough of a hash to tell a client's own keys apart. */
const KEY_HASH_HEX = 32;

export interface KeyPoolLimits {
  readonly keyPackageBytesMax: number;
}

export class KeyPoolService {
  readonly #ports: ServicePorts;
  readonly #tags: TagDirectory;
  readonly #limits: KeyPoolLimits;

  constructor(ports: ServicePorts, tags: TagDirectory, limits: KeyPoolLimits) {
    this.#ports = ports;
    this.#tags = tags;
    this.#limits = limits;
  }

  async publish(request: ApplicationRequest, params: Params<"keyPool.publish">): Promise<Answer> {
    const pool = this.#pool(request, params.clientId);
    let judged: Judged | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const [identity] = await this.#identities(request, [params.clientId]);
      if (identity?.identity === undefined) {
        const outcome = await refusedUnlessRemembered(this.#ports, request, pool, "CLIENT_NOT_FOUND");
        return outcome.kind === "refused" ? outcome : done(outcome.value as object);
      }
      // Signatures are verified of packages with its credential alone, so none is verified twice.
      if (judged?.identityVersion !== identity.identityVersion) judged = await this.#judge(request, params, identity);
      const command = await this.#publishCommand(request, params, identity, judged);
      const outcome = await ask(this.#ports, request, pool, command, true);
      if (outcome.kind === "applied") return done(outcome.value as object);
      if (outcome.refusal.reason !== "STATE_MOVED" || attempt === ATTEMPTS) return outcome;
    }
  }

  async claim(request: ApplicationRequest, params: Params<"keyPool.claim">): Promise<Answer> {
    const targets = await this.#targets(request, params);
    if (!Array.isArray(targets)) return targets;
    const records = await this.#identities(request, targets);
    const results = await Promise.all(
      targets.map((clientId, n) => this.#claimOne(request, params, clientId, records[n])),
    );
    const claimed = results.flatMap((result) => ("reason" in result ? [] : [result]));
    const failed = results.flatMap((result) => ("reason" in result ? [result] : []));
    return done({ claimed, failed });
  }

  async status(request: ApplicationRequest, { clientIds }: Params<"keyPool.status">): Promise<Answer> {
    const records = await this.#identities(request, clientIds);
    const pools: object[] = [];
    while (pools.length < clientIds.length) {
      const unwanted = pools.length === 0 ? undefined : await nextStep(this.#ports, request);
      if (unwanted !== undefined) return unwanted;
      const from = pools.length;
      const some = clientIds
        .slice(from, from + POOLS_AT_ONCE)
        .map(async (clientId, n) =>
          records[from + n] === undefined
            ? { clientId, error: refuse("CLIENT_NOT_FOUND") }
            : { clientId, queues: await queuesOf(this.#ports, this.#pool(request, clientId)) },
        );
      pools.push(...(await Promise.all(some)));
    }
    return done({ pools });
  }

  async list(request: ApplicationRequest, { clientId }: Params<"keyPool.list">): Promise<Answer> {
    const [record] = await this.#identities(request, [clientId]);
    if (record === undefined) return refused("CLIENT_NOT_FOUND");
    const names = await packageNames(this.#ports.store, this.#pool(request, clientId));
    const keyPackages = names.map((name) => {
      const { ciphersuite, labelHex, notAfter, refHex } = parsePackageName(name);
      const keyPackageRef = Buffer.from(refHex, "hex");
      return { keyPackageRef, ciphersuite, label: labelFromHex(labelHex), notAfter, lastResort: isLastResort(name) };
    });
    return done({ keyPackages });
  }

  async remove(request: ApplicationRequest, params: Params<"keyPool.remove">): Promise<Answer> {
    const [record] = await this.#identities(request, [params.clientId]);
    const pool = this.#pool(request, params.clientId);
    const refs = params.all === true ? "all" : (params.keyPackageRefs ?? []).map(hexOf);
    const outcome =
      record === undefined
        ? await refusedUnlessRemembered(this.#ports, request, pool, "CLIENT_NOT_FOUND")
        : await ask(this.#ports, request, pool, { type: "remove", refs, ...lowTerms(request) }, true);
    return outcome.kind === "refused" ? outcome : done(outcome.value as object);
  }

  async #publishCommand(
    request: ApplicationRequest,
    { clientId, label, reset }: Params<"keyPool.publish">,
    { identity, identityVersion }: IdentityContext,
    judged: Judged,
  ): Promise<PublishCommand & Record<string, unknown>> {
    // The head first: whatever lets keys come or go after it changes its generation too.
    const head = await readRecord<KeyPoolContext>(this.#ports.store, this.#pool(request, clientId));
    return {
      type: "publish",
      ...generationOf(head?.context),
      identityVersion,
      labelHex: labelToHex(label),
      offered: await this.#withMarks(request, clientId, judged, identity?.notAfter),
      rejected: judged.rejected,
      reset,
      queueMax: request.settings.keyPoolMax,
      ...lowTerms(request),
    };
  }

  /** M1 but for novelty, each package by itself; signatures are verified on other threads. */
  async #judge(request: ApplicationRequest, params: Params<"keyPool.publish">, by: IdentityContext): Promise<Judged> {
    const { settings } = request;
    const { handle = "", domain, credential = "" }: Partial<IdentityFacts> = by.identity ?? {};
    const terms = {
      nowMs: this.#ports.clock.now(),
      bytesMax: this.#limits.keyPackageBytesMax,
      ciphersuites: settings.ciphersuites,
      lifetimeMaxMs: settings.keyPackageLifetimeMaxMs,
      currentCredential: Buffer.from(credential, "base64"),
      currentHolder: { handle, ...(domain === undefined ? {} : { domain }) },
      provider: this.#ports.identityProviders.of(settings),
    };
    const given = params.keyPackages.map((bytes, index) => ({ bytes, index }));
    if (params.lastResort !== undefined) given.push({ bytes: params.lastResort, index: -1 });
    const verdicts = await Promise.all(
      given.map(({ bytes, index }) => checkKeyPackage(bytes, { ...terms, asLastResort: index === -1 })),
    );
    const valid: Judged["valid"][number][] = [];
    const rejected: Judged["rejected"][number][] = [];
    verdicts.forEach((verdict, n) => {
      const { bytes, index } = given[n] as (typeof given)[number];
      if (verdict.kind === "valid") valid.push({ index, facts: verdict.facts, bytes });
      else rejected.push({ index, reason: verdict.reason, message: verdict.message });
    });
    return { identityVersion: by.identityVersion, valid, rejected };
  }

  /** @param identityNotAfter a package is of no use once its credential has expired */
  async #withMarks(
    request: ApplicationRequest,
    clientId: string,
    { valid }: Judged,
    identityNotAfter = Number.POSITIVE_INFINITY,
  ): Promise<OfferedPackage[]> {
    const described = valid.map(({ index, facts, bytes }) => ({
      index,
      bytes,
      ciphersuite: facts.ciphersuite,
      notAfter: Math.min(facts.lifetime.notAfterMs, identityNotAfter),
      refHex: hexOf(facts.ref),
      keyHashes: [facts.initKey, facts.encryptionKey].map(keyHash),
    }));
    const names = described.flatMap(({ refHex, keyHashes }) => [usedMark(refHex), ...keyHashes.map(keyMark)]);
    const { shard, actor } = placeOf(this.#ports.store, this.#pool(request, clientId));
    const marks = names.length === 0 ? [] : await this.#ports.store.readMarks(shard, actor, names);
    const present = new Map(
      names.flatMap((name, n) => (marks[n] === undefined ? [] : [[name, hexOf(marks[n].bytes)]])),
    );
    return described.map((offered) => {
      const cameWith = offered.keyHashes.map((hash) => present.get(keyMark(hash)));
      return {
        ...offered,
        used: present.has(usedMark(offered.refHex)),
        keysKnown: cameWith.some((refHex) => refHex !== undefined),
        cameBefore: cameWith.includes(offered.refHex),
      };
    });
  }

  /** Every client once, in the order named; or a refusal. */
  async #targets(request: ApplicationRequest, params: Params<"keyPool.claim">): Promise<string[] | Answer> {
    const excluded = new Set(params.exclude);
    const clientIds = new Set<string>();
    let filters = 0;
    for (const { clientId, all = [], any = [], none = [] } of params.targets) {
      if (clientId !== undefined) clientIds.add(clientId);
      else {
        const unwanted = filters === 0 ? undefined : await nextStep(this.#ports, request);
        if (unwanted !== undefined) return unwanted;
        filters += 1;
        const limit = TARGETS_MAX + excluded.size + 1;
        const page = await this.#tags.find(request, { all, any, none }, "", limit);
        if (page.kind === "refused") return page;
        for (const { id } of page.clients) clientIds.add(id);
      }
      if (clientIds.size > TARGETS_MAX + excluded.size) return refused("TOO_MANY_TARGETS");
    }
    const targets = [...clientIds].filter((clientId) => !excluded.has(clientId));
    return targets.length > TARGETS_MAX ? refused("TOO_MANY_TARGETS") : targets;
  }

  async #claimOne(
    request: ApplicationRequest,
    params: Params<"keyPool.claim">,
    clientId: string,
    identity: IdentityContext | undefined,
  ): Promise<{ readonly clientId: string; readonly reason: ClaimFailure } | Record<string, unknown>> {
    const { settings, session } = request;
    const pool = this.#pool(request, clientId);
    const command = {
      type: "claim",
      ciphersuites: (params.ciphersuites ?? settings.ciphersuites).filter((suite) =>
        settings.ciphersuites.includes(suite),
      ),
      labelHex: labelToHex(params.label),
      requester: params.requester ?? session,
      allowLastResort: params.allowLastResort,
      identityVersion: identity?.identityVersion,
      claimsPerHour: settings.claimsPerHour,
      ...lowTerms(request),
    };
    const outcome =
      identity === undefined
        ? await refusedUnlessRemembered(this.#ports, request, pool, "CLIENT_NOT_FOUND")
        : await ask(this.#ports, request, pool, command, true);
    if (outcome.kind === "applied") return { clientId, ...(outcome.value as object), keyPackage: outcome.taken[0] };
    return { clientId, reason: failureOf(outcome.refusal.reason) };
  }

  async #identities(
    { applicationId }: ApplicationRequest,
    clientIds: readonly string[],
  ): Promise<(IdentityContext | undefined)[]> {
    const addresses = clientIds.map((id) => ({ applicationId, kind: "identity" as const, id }));
    const records = await readRecords<IdentityContext>(this.#ports.store, addresses);
    return records.map((record) => (record?.state === "active" ? record.context : undefined));
  }

  #pool({ applicationId }: ApplicationRequest, clientId: string) {
    return { applicationId, kind: "keyPool" as const, id: clientId };
  }
}

function keyHash(publicKey: Uint8Array): string {
  return createHash("sha256").update(publicKey).digest("hex").slice(0, KEY_HASH_HEX);
}

function generationOf({ generation, begunIn }: PoolGeneration = { generation: 0 }): PoolGeneration {
  return begunIn === undefined ? { generation } : { generation, begunIn };
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** What a pool's refusal is called in `failed`. */
function failureOf(reason: string): ClaimFailure {
  switch (reason) {
    case "CLIENT_NOT_FOUND":
      return "NOT_FOUND";
    case "NO_CIPHERSUITE":
    case "POOL_EMPTY":
    case "RATE_LIMITED":
    case "KEY_REUSED":
    case "OUTCOME_UNKNOWN":
      return reason;
    default:
      return "UNAVAILABLE";
  }
}

/** When and how a queue is said to be low. */
function lowTerms({ settings }: ApplicationRequest): LowTerms {
  return { low: settings.keyPoolLow, target: settings.keyPoolTarget, inboxRetention: settings.inboxRetention };
}
