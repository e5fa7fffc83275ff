// The form of an access token, `aegis_<keyId>_<secret>` (PROTOCOL C2): made and taken apart here only.
// Says nothing about whether a token is known.
import { randomBytes } from "node:crypto";

export interface AccessToken {
  readonly keyId: string;
  readonly secret: string;
}

const TOKEN = /^aegis_([A-Za-z0-9-]{1,64})_([A-Za-z0-9-]{1,256})$/;

/** 256 random bits; hex, because a token's parts hold no underscore. */
export function freshTokenSecret(): string {
  return randomBytes(32).toString("hex");
}

export function formatToken({ keyId, secret }: AccessToken): string {
  return `aegis_${keyId}_${secret}`;
}

export function parseToken(token: string): AccessToken | undefined {
  const [, keyId, secret] = TOKEN.exec(token) ?? [];
  return keyId === undefined || secret === undefined ? undefined : { keyId, secret };
}
