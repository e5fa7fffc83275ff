// Code points of RFC 9420 §17 (and of the extensions draft where the protocol names them). Constants only.

export const MLS_10 = 1;

export const WIRE_FORMAT = { publicMessage: 1, privateMessage: 2, welcome: 3, groupInfo: 4, keyPackage: 5 } as const;

export const CREDENTIAL = { basic: 1, x509: 2 } as const;

export const EXTENSION = {
  applicationId: 1,
  ratchetTree: 2,
  requiredCapabilities: 3,
  externalPub: 4,
  externalSenders: 5,
  lastResort: 0x000a,
} as const;

export const PROPOSAL = {
  add: 1,
  update: 2,
  remove: 3,
  psk: 4,
  reinit: 5,
  externalInit: 6,
  groupContextExtensions: 7,
  selfRemove: 0x000a,
} as const;

/** Extension types that every implementation knows and so need not list (§7.2). */
export function isDefaultExtension(type: number): boolean {
  return type >= 1 && type <= 5;
}

/** Proposal types that every implementation knows and so need not list (§7.2). */
export function isDefaultProposal(type: number): boolean {
  return type >= 1 && type <= 7;
}
