// The identity service's parameters and results (PROTOCOL §4).
import { z } from "zod";
import {
  bool,
  count,
  credential,
  cursor,
  errorRecord,
  handle,
  list,
  map,
  tag,
  time,
  uint,
  uuid,
} from "./primitives.ts";

/** Why a credential is not accepted: `details.cause` of IDENTITY_INVALID. */
export const identityCauseMeanings = {
  type_unsupported: "the credential's type is not the identity provider's",
  malformed:
    "the bytes are no Credential, or hold more than one, or one of its certificates can't be read, or a basic identity is longer than 1,024 bytes, or the whole longer than `credentialBytesMax`",
  chain_invalid: "the certificate chain does not verify",
  expired: "a certificate of the chain, or the trust anchor, has expired",
  not_yet_valid: "a certificate is not valid yet",
  unknown_root: "the chain leads to none of the trust anchors",
  name_forbidden: "a name holds a character that handles do not have, is too long, or is one of two in a certificate",
  handle_missing: "there is no name to make a handle, account or domain of",
  handle_not_utf8: "a basic identity or a common name is not UTF-8",
} as const;

export type IdentityCause = keyof typeof identityCauseMeanings;

export const identityCause = z
  .enum(Object.keys(identityCauseMeanings) as IdentityCause[])
  .meta({ title: "identityCause" });

export const clientRecord = map({
  clientId: uuid,
  clientIdentity: credential,
  handle,
  account: handle.exactOptional(),
  domain: handle.exactOptional(),
  tags: list(tag),
  version: count,
  notAfter: time.exactOptional(),
  createdAt: time,
  updatedAt: time,
}).meta({ title: "clientRecord" });

/** An item of a list that could not be read. */
export const clientFailure = map({ clientId: uuid, error: errorRecord }).meta({ title: "clientFailure" });

/** Tags that a client must have all of, any of, none of. At least one in `all` or `any` (FILTER_EMPTY). */
export const filterFields = {
  all: list(tag, { max: 64 }).exactOptional(),
  any: list(tag, { max: 1000 }).exactOptional(),
  none: list(tag, { max: 64 }).exactOptional(),
};

/** More than a client can have is TAGS_LIMIT; much more is not even looked at (G10). */
const givenTags = list(tag, { max: 10_000 });

export const identityCreate = {
  params: map({ clientIdentity: credential, tags: givenTags.default([]) }),
  result: clientRecord,
};
export const identityGet = {
  params: map({ clientIds: list(uuid, { max: 1000 }) }),
  result: map({ clients: list(z.union([clientRecord, clientFailure])) }),
};
export const identityFind = {
  params: map({ ...filterFields, cursor: cursor.exactOptional(), limit: uint(1000, 1).default(100) }),
  result: map({ clients: list(clientRecord), cursor: cursor.exactOptional() }),
};
export const identityResolve = {
  params: map({
    clientIdentity: credential.exactOptional(),
    handle: handle.exactOptional(),
    domain: handle.exactOptional(),
  })
    .refine(
      (params) => (params.clientIdentity === undefined) !== (params.handle === undefined),
      "expected either clientIdentity or handle",
    )
    .refine(
      (params) => params.domain === undefined || params.handle !== undefined,
      "expected a domain with a handle only",
    ),
  result: map({ clientId: uuid, version: count, current: bool }),
};
export const identityHistory = {
  params: map({ clientId: uuid, cursor: cursor.exactOptional() }),
  result: map({
    identities: list(map({ clientIdentity: credential, handle, from: time, until: time.exactOptional() })),
    cursor: cursor.exactOptional(),
  }),
};
export const tagChange = map({
  set: givenTags.exactOptional(),
  add: givenTags.exactOptional(),
  remove: givenTags.exactOptional(),
})
  .refine(
    (change) => change.set === undefined || (change.add === undefined && change.remove === undefined),
    "expected either set, or add and remove",
  )
  .meta({ title: "tagChange" });
export const identityUpdate = {
  params: map({
    clientId: uuid,
    clientIdentity: credential.exactOptional(),
    tags: tagChange.exactOptional(),
    ifVersion: count.exactOptional(),
  }),
  result: clientRecord,
};
export const identityValidate = {
  params: map({ clientIdentity: credential }),
  result: map({
    valid: bool,
    cause: identityCause.exactOptional(),
    handle: handle.exactOptional(),
    account: handle.exactOptional(),
    domain: handle.exactOptional(),
    notAfter: time.exactOptional(),
  }),
};
export const identityDelete = { params: map({ clientId: uuid }), result: map({}) };
