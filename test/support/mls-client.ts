// A small real MLS client on ts-mls 1.6.4, for tests and the demo: everything goes in and out as bytes.
import {
  createGroup,
  defaultCryptoProvider,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  joinGroupExternal,
  makePskIndex,
  type AuthenticationService,
  type Capabilities,
  type CiphersuiteImpl,
  type CiphersuiteName,
  type ClientConfig,
  type Credential,
  type Extension,
  type KeyPackage,
  type PrivateKeyPackage,
} from "ts-mls";
import { defaultClientConfig } from "ts-mls/clientConfig.js";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { credentialEncoder } from "ts-mls/credential.js";
import { makeKeyPackageRef } from "ts-mls/keyPackage.js";
import { decodeMessage, decodeTree, hexOf } from "./mls-encoding.ts";
import { MlsGroup, type ExternalPsks } from "./mls-group.ts";
import { nodeCryptoProvider } from "./node-crypto-provider.ts";

export const CLIENT_CIPHERSUITES = {
  1: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
  2: "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
  3: "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
  4: "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
  5: "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
  6: "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
  7: "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
} as const satisfies Record<number, CiphersuiteName>;
export type ClientCiphersuite = keyof typeof CLIENT_CIPHERSUITES;

export const LAST_RESORT_EXTENSION = 0x000a;

export interface MlsClientOptions {
  readonly identity: string;
  readonly ciphersuite?: ClientCiphersuite;
  /** Default "node": node:crypto, all suites. "ts-mls": its own, without 3, 4 and 6. */
  readonly crypto?: "node" | "ts-mls";
  /** DER certificates, the end entity first: an x509 credential instead of a basic one. */
  readonly certificates?: readonly Uint8Array[];
  readonly signatureKeyPair?: { readonly signKey: Uint8Array; readonly publicKey: Uint8Array };
  /** What each of its key packages is made with, those that found groups and join from outside included. */
  readonly keyPackages?: KeyPackageOptions;
  /** Default: every credential is taken. */
  readonly authService?: AuthenticationService;
}

export interface KeyPackageOptions {
  readonly nowMs?: number;
  readonly lifetimeMs?: number;
  /** Adds the last_resort extension (0x000A). */
  readonly lastResort?: boolean;
  readonly capabilities?: Partial<Capabilities>;
  readonly extensions?: readonly Extension[];
  readonly leafNodeExtensions?: readonly Extension[];
}

export interface PublishedKeyPackage {
  /** A whole MLSMessage. */
  readonly message: Uint8Array;
  readonly ref: Uint8Array;
}

interface OwnKeyPackage {
  readonly publicPackage: KeyPackage;
  readonly privatePackage: PrivateKeyPackage;
}

/** One device: an identity, a signature key for each key package, and the packages' private halves. */
export class MlsClient {
  readonly identity: string;
  readonly ciphersuite: ClientCiphersuite;
  readonly impl: CiphersuiteImpl;
  readonly #credential: Credential;
  readonly #config: ClientConfig;
  readonly #keyPackageOptions: KeyPackageOptions;
  readonly #signatureKeyPair: { readonly signKey: Uint8Array; readonly publicKey: Uint8Array };
  readonly #keyPackages = new Map<string, OwnKeyPackage>();

  private constructor(
    options: MlsClientOptions,
    impl: CiphersuiteImpl,
    signatureKeyPair: { readonly signKey: Uint8Array; readonly publicKey: Uint8Array },
  ) {
    this.identity = options.identity;
    this.ciphersuite = options.ciphersuite ?? 1;
    this.impl = impl;
    this.#signatureKeyPair = signatureKeyPair;
    this.#keyPackageOptions = options.keyPackages ?? {};
    const { authService = defaultClientConfig.authService } = options;
    this.#config = { ...defaultClientConfig, authService };
    this.#credential =
      options.certificates === undefined
        ? { credentialType: "basic", identity: new TextEncoder().encode(options.identity) }
        : { credentialType: "x509", certificates: [...options.certificates] };
  }

  static async create(options: MlsClientOptions): Promise<MlsClient> {
    const suite = getCiphersuiteFromName(CLIENT_CIPHERSUITES[options.ciphersuite ?? 1]);
    const provider = options.crypto === "ts-mls" ? defaultCryptoProvider : nodeCryptoProvider;
    const impl = await getCiphersuiteImpl(suite, provider);
    return new MlsClient(options, impl, options.signatureKeyPair ?? (await impl.signature.keygen()));
  }

  /** The Credential struct: what `identity.create` takes as `clientIdentity`. */
  get credential(): Uint8Array {
    return encode(credentialEncoder)(this.#credential);
  }

  get signatureKey(): Uint8Array {
    return this.#signatureKeyPair.publicKey;
  }

  get signaturePrivateKey(): Uint8Array {
    return this.#signatureKeyPair.signKey;
  }

  /** A fresh KeyPackage with a finite lifetime (28 days); its private half is kept. */
  async createKeyPackage(changes: KeyPackageOptions = {}): Promise<PublishedKeyPackage> {
    const options = { ...this.#keyPackageOptions, ...changes };
    const nowSeconds = BigInt(Math.floor((options.nowMs ?? Date.now()) / 1000));
    const lifetimeSeconds = BigInt(Math.floor((options.lifetimeMs ?? 28 * 24 * 3_600_000) / 1000));
    const mark = { extensionType: LAST_RESORT_EXTENSION, extensionData: new Uint8Array(0) };
    const own = await generateKeyPackageWithKey(
      this.#credential,
      { ...this.#defaultCapabilities(), ...options.capabilities },
      { notBefore: nowSeconds - 60n, notAfter: nowSeconds - 60n + lifetimeSeconds },
      [...(options.extensions ?? []), ...(options.lastResort === true ? [mark] : [])],
      this.#signatureKeyPair,
      this.impl,
      [...(options.leafNodeExtensions ?? [])],
    );
    const ref = await makeKeyPackageRef(own.publicPackage, this.impl.hash);
    this.#keyPackages.set(hexOf(ref), own);
    const message = encodeMlsMessage({
      version: "mls10",
      wireformat: "mls_key_package",
      keyPackage: own.publicPackage,
    });
    return { message, ref };
  }

  /** A fresh one with its private half: what proposing one's own Add takes. */
  async ownKeyPackage(): Promise<OwnKeyPackage> {
    return this.#ownKeyPackage((await this.createKeyPackage()).ref);
  }

  async createGroup(groupId: Uint8Array, extensions: readonly Extension[] = []): Promise<MlsGroup> {
    const { publicPackage, privatePackage } = await this.ownKeyPackage();
    const state = await createGroup(groupId, publicPackage, privatePackage, [...extensions], this.impl, this.#config);
    return new MlsGroup(this.impl, state);
  }

  /** Joins with whichever own key package the Welcome addresses; the tree may come beside it (`group.tree`). */
  async joinFromWelcome(
    welcomeMessage: Uint8Array,
    ratchetTree?: Uint8Array,
    options: { readonly externalPsks?: ExternalPsks; readonly reinitOf?: MlsGroup } = {},
  ): Promise<MlsGroup> {
    const message = decodeMessage(welcomeMessage);
    if (message.wireformat !== "mls_welcome") throw new Error("not a Welcome");
    const { welcome } = message;
    const own = welcome.secrets.map(({ newMember }) => this.#keyPackages.get(hexOf(newMember))).find(Boolean);
    if (own === undefined) throw new Error("the Welcome addresses none of this client's key packages");
    const tree = ratchetTree && decodeTree(ratchetTree);
    const { publicPackage, privatePackage } = own;
    const former = options.reinitOf?.state;
    const state = await joinGroup(
      welcome,
      publicPackage,
      privatePackage,
      makePskIndex(former, { ...options.externalPsks }),
      this.impl,
      tree,
      former,
      this.#config,
    );
    return new MlsGroup(this.impl, state);
  }

  /** An external commit; the caller submits `commit` and uses `group` once it is accepted. */
  async joinExternally(
    groupInfoMessage: Uint8Array,
    options: { readonly ratchetTree?: Uint8Array; readonly resync?: boolean } = {},
  ): Promise<{ readonly commit: Uint8Array; readonly group: MlsGroup; readonly groupInfo: Uint8Array }> {
    const message = decodeMessage(groupInfoMessage);
    if (message.wireformat !== "mls_group_info") throw new Error("not a GroupInfo");
    const own = await this.ownKeyPackage();
    const { publicMessage, newState } = await joinGroupExternal(
      message.groupInfo,
      own.publicPackage,
      own.privatePackage,
      options.resync ?? false,
      takingVectors(this.impl, own.publicPackage.initKey.length),
      options.ratchetTree && decodeTree(options.ratchetTree),
      this.#config,
    );
    const commit = encodeMlsMessage({ version: "mls10", wireformat: "mls_public_message", publicMessage });
    const group = new MlsGroup(this.impl, newState);
    return { commit, group, groupInfo: await group.groupInfo() };
  }

  #ownKeyPackage(ref: Uint8Array): OwnKeyPackage {
    const own = this.#keyPackages.get(hexOf(ref));
    if (own === undefined) throw new Error("no such key package");
    return own;
  }

  #defaultCapabilities(): Capabilities {
    return {
      versions: ["mls10"],
      ciphersuites: Object.values(CLIENT_CIPHERSUITES),
      extensions: [],
      proposals: [],
      credentials: ["basic", "x509"],
    };
  }
}

/**
 * ts-mls 1.6.4 takes the whole external_pub extension for a key. With this, a key after its own length, as RFC 9420
 * §12.4.3.2 has it, is one too.
 */
function takingVectors(impl: CiphersuiteImpl, keyLength: number): CiphersuiteImpl {
  const importPublicKey: typeof impl.hpke.importPublicKey = (bytes) =>
    impl.hpke.importPublicKey(bytes.length > keyLength ? bytes.slice(-keyLength) : bytes);
  return { ...impl, hpke: { ...impl.hpke, importPublicKey } };
}
