// Applications and their keys: every method with its scope, schemas and reasons.
import * as application from "../schemas/application.ts";
import { method } from "./method-entry.ts";

export const applicationMethods = {
  "application.create": method(application.applicationCreate, {
    scope: "operator",
    mutates: true,
    secret: true,
    reasons: [],
    summary: "Defines an application. Its first key has all scopes; `secret` is the whole token, shown once.",
  }),
  "application.list": method(application.applicationList, {
    scope: "operator",
    mutates: false,
    reasons: ["CURSOR_INVALID"],
    summary: "All applications.",
  }),
  "application.delete": method(application.applicationDelete, {
    scope: "operator",
    mutates: true,
    reasons: ["APPLICATION_NOT_FOUND"],
    summary: "Deletes an application and all of it; its sessions close with 4501.",
  }),
  "application.get": method(application.applicationGet, {
    scope: "application",
    mutates: false,
    reasons: ["APPLICATION_NOT_FOUND"],
    summary: "An application's published parameters (RFC 9750 §7). An application key may ask for its own.",
  }),
  "application.update": method(application.applicationUpdate, {
    scope: "operator",
    mutates: true,
    reasons: ["APPLICATION_NOT_FOUND"],
    summary: "Changes settings: each key given replaces, whole, what stood there.",
  }),
  "application.createKey": method(application.applicationCreateKey, {
    scope: "operator",
    mutates: true,
    secret: true,
    reasons: ["APPLICATION_NOT_FOUND", "KEYS_LIMIT"],
    summary: "Makes a key. `secret` is the whole token, shown once.",
  }),
  "application.listKeys": method(application.applicationListKeys, {
    scope: "operator",
    mutates: false,
    reasons: ["APPLICATION_NOT_FOUND"],
    summary: "The application's keys, without their secrets.",
  }),
  "application.revokeKey": method(application.applicationRevokeKey, {
    scope: "operator",
    mutates: true,
    reasons: ["APPLICATION_NOT_FOUND", "KEY_NOT_FOUND"],
    summary: "Ends a key within 2 s on every node; its sessions close with 4501.",
  }),
};
