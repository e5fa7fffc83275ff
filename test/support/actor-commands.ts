// Commands as services send them to actors, whole and valid, for tests that speak to actors directly.
import { createHash, randomUUID } from "node:crypto";
import type { KeyRecord } from "../../src/actors/application-machine.ts";
import type { IdentityFacts } from "../../src/actors/identity-machine.ts";
import type { KeyPoolCommand } from "../../src/actors/key-pool-machine.ts";
import type { OfferedPackage, PublishCommand } from "../../src/actors/key-pool-publish.ts";
import type { SubmitCommitCommand } from "../../src/actors/group-state.ts";
import { settings as settingsSchema, type Settings } from "../../src/protocol/schemas/application.ts";

export const SETTINGS: Settings = settingsSchema.parse({});
export const RETENTION = SETTINGS.inboxRetention;

export const HOUR_MS = 3_600_000;

export function handleIdOf(handle: string): string {
  return createHash("sha256").update("\0").update(handle).digest("hex");
}

export function identityFacts(handle: string): IdentityFacts {
  return { credential: Buffer.from(handle).toString("base64"), handle, handleId: handleIdOf(handle) };
}

export function keyRecord(keyId = "key-1"): KeyRecord {
  return { keyId, scopes: ["identity"], createdAt: 1, mac: "00".repeat(32) };
}

/** A package whose ref, keys and bytes all come from its number. */
export function offered(number: number, notAfter: number, more: Partial<OfferedPackage> = {}): OfferedPackage {
  const ref = createHash("sha256")
    .update(`package ${String(number)}`)
    .digest("hex");
  return {
    index: 0,
    ciphersuite: 1,
    notAfter,
    refHex: ref,
    keyHashes: [ref.slice(0, 32), ref.slice(32)],
    bytes: new Uint8Array(Buffer.from(`package ${String(number)}`)),
    used: false,
    keysKnown: false,
    ...more,
  };
}

export function publish(packages: readonly OfferedPackage[], more: Partial<PublishCommand> = {}): PublishCommand {
  return {
    type: "publish",
    generation: 0,
    identityVersion: 1,
    labelHex: "",
    offered: packages,
    rejected: [],
    reset: false,
    queueMax: 500,
    low: 0,
    target: 100,
    inboxRetention: RETENTION,
    ...more,
  };
}

export type Remove = Extract<KeyPoolCommand, { type: "remove" }>;

export function remove(refs: Remove["refs"], more: Partial<Remove> = {}): Remove {
  return { type: "remove", refs, low: 0, target: 100, inboxRetention: RETENTION, ...more };
}

export type Claim = Extract<KeyPoolCommand, { type: "claim" }>;

export function claim(more: Partial<Claim> = {}): Claim {
  return {
    type: "claim",
    ciphersuites: [1],
    labelHex: "",
    requester: "requester",
    allowLastResort: true,
    identityVersion: 1,
    claimsPerHour: 1_000_000,
    low: 0,
    target: 100,
    inboxRetention: RETENTION,
    ...more,
  };
}

export function createGroup(more: object = {}): { readonly type: "create" } & Record<string, unknown> {
  return {
    type: "create",
    groupId: Buffer.from("group").toString("base64"),
    tracking: "ordering",
    ciphersuite: 1,
    epoch: "0",
    settings: {},
    groupInfo: new Uint8Array([1]),
    members: [],
    memberCount: 1,
    reservations: 0,
    governed: SETTINGS,
    ...more,
  };
}

export function submitCommit(epoch: number | string, more: Partial<SubmitCommitCommand> = {}): SubmitCommitCommand {
  return {
    type: "submitCommit",
    epoch: String(epoch),
    message: new Uint8Array([2]),
    digest: randomUUID(),
    external: false,
    resync: false,
    added: [],
    removed: [],
    undelivered: [],
    groupInfo: new Uint8Array([3]),
    governed: SETTINGS,
    ...more,
  };
}
