// The identity service: every method with its scope, schemas and reasons.
import * as identity from "../schemas/identity.ts";
import { method } from "./method-entry.ts";

export const identityMethods = {
  "identity.create": method(identity.identityCreate, {
    scope: "identity",
    mutates: true,
    reasons: ["IDENTITY_INVALID", "HANDLE_TAKEN", "TAGS_LIMIT", "QUOTA"],
    summary: "Registers a client under its MLS credential. `details.cause` of IDENTITY_INVALID says why not.",
  }),
  "identity.get": method(identity.identityGet, {
    scope: "identity",
    mutates: false,
    reasons: [],
    summary: "Reads up to 1,000 clients, in the order asked; each is a record or an error of its own.",
  }),
  "identity.find": method(identity.identityFind, {
    scope: "identity",
    mutates: false,
    reasons: ["FILTER_EMPTY", "CURSOR_INVALID"],
    summary:
      "Finds clients by tags: all of `all`, at least one of `any`, none of `none`. Sees every create, update and delete acknowledged before, on any node.",
  }),
  "identity.resolve": method(identity.identityResolve, {
    scope: "identity",
    mutates: false,
    reasons: ["HANDLE_NOT_FOUND", "IDENTITY_INVALID"],
    summary:
      "Who holds an identity or handle now; else, with `current: false`, who held it last. Of an identity that nobody is known to have held, it tells of its handle, with `current: false`. Whether the identity would be accepted now is not asked.",
  }),
  "identity.history": method(identity.identityHistory, {
    scope: "identity",
    mutates: false,
    reasons: ["CLIENT_NOT_FOUND", "CURSOR_INVALID"],
    summary:
      "All identities that a client has had, the oldest first. An answer ends with the one that brings it to 2 MiB: hardly any client needs a second.",
  }),
  "identity.update": method(identity.identityUpdate, {
    scope: "identity",
    mutates: true,
    reasons: [
      "CLIENT_NOT_FOUND",
      "IDENTITY_INVALID",
      "HANDLE_TAKEN",
      "NOT_SUCCESSOR",
      "VERSION_MISMATCH",
      "TAGS_LIMIT",
    ],
    summary:
      "Changes a client's identity or tags; its id stays. Once acknowledged, no claim returns a KeyPackage under the old identity.",
  }),
  "identity.validate": method(identity.identityValidate, {
    scope: "identity",
    mutates: false,
    reasons: [],
    summary: "What the identity provider says of a credential; writes nothing.",
  }),
  "identity.delete": method(identity.identityDelete, {
    scope: "identity",
    mutates: true,
    reasons: ["CLIENT_NOT_FOUND"],
    summary: "Deletes a client with its tags, key pool and inbox. Its id is never used again.",
  }),
};
