// What a test and the process that runs @wireapp/core-crypto say to each other. Bytes and names only, so that
// nothing of that library (GPL-3.0) is ever loaded beside our code.

/** MLS bytes as MLSMessages, but for the welcome: as core-crypto gives them. */
export interface CommitBundle {
  readonly commit: Uint8Array;
  readonly welcome: Uint8Array | undefined;
  readonly groupInfo: Uint8Array;
}

export interface CreatedClient {
  /** What stands in its basic credential. */
  readonly identity: Uint8Array;
}

/** By method: what it takes and what it answers. Every client is called by the name that it was created with. */
export interface CoreCryptoCalls {
  createClient: { params: { client: string; ciphersuite: number }; result: CreatedClient };
  keyPackages: { params: { client: string; count: number }; result: Uint8Array[] };
  createGroup: { params: { client: string; groupId: Uint8Array; externalSenderKey?: Uint8Array }; result: undefined };
  add: { params: { client: string; groupId: Uint8Array; keyPackages: Uint8Array[] }; result: undefined };
  remove: { params: { client: string; groupId: Uint8Array; identities: Uint8Array[] }; result: undefined };
  update: { params: { client: string; groupId: Uint8Array }; result: undefined };
  commitPending: { params: { client: string; groupId: Uint8Array }; result: undefined };
  joinFromWelcome: { params: { client: string; welcome: Uint8Array }; result: Uint8Array };
  joinExternally: { params: { client: string; groupInfo: Uint8Array }; result: Uint8Array };
  forget: { params: { client: string; groupId: Uint8Array }; result: undefined };
  encrypt: { params: { client: string; groupId: Uint8Array; data: Uint8Array }; result: Uint8Array };
  /** Application data, or undefined for a handshake. */
  receive: { params: { client: string; groupId: Uint8Array; message: Uint8Array }; result: Uint8Array | undefined };
  epoch: { params: { client: string; groupId: Uint8Array }; result: bigint };
  exportSecret: { params: { client: string; groupId: Uint8Array; length: number }; result: Uint8Array };
}
export type CoreCryptoMethod = keyof CoreCryptoCalls;

/** To the process: a call, or the back-end's answer to a commit (`refusal` undefined: accepted). */
export type ToCoreCrypto =
  | { readonly kind: "call"; readonly id: number; readonly method: CoreCryptoMethod; readonly params: unknown }
  | { readonly kind: "submitted"; readonly id: number; readonly refusal: string | undefined };

/** From the process: ready, an answer, or a commit that a client wants to have accepted. */
export type FromCoreCrypto =
  | { readonly kind: "ready"; readonly version: string }
  | { readonly kind: "result"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly message: string }
  | { readonly kind: "submit"; readonly id: number; readonly client: string; readonly bundle: CommitBundle };
