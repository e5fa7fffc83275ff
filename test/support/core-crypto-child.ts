// Clients of @wireapp/core-crypto, in a process of their own: its WebAssembly build, with the few things of a
// browser that it asks for. Speaks core-crypto-messages.ts over the channel to its parent, and ends with it.
import { readFile } from "node:fs/promises";
import {
  ClientId,
  ConversationId,
  CoreCrypto,
  Credential,
  Database,
  DecryptedMessage,
  DeviceId,
  ExternalSender,
  GroupInfo,
  KeyPackage,
  MlsTransportError,
  Uuid,
  Welcome,
  cipherSuiteFromU16,
  initWasmModule,
  version,
  type CommitBundle,
  type CoreCryptoContext,
  type CredentialRef,
} from "@wireapp/core-crypto/browser";
import { randomUUID } from "node:crypto";
import type { CoreCryptoCalls, CoreCryptoMethod, FromCoreCrypto, ToCoreCrypto } from "./core-crypto-messages.ts";

interface Client {
  readonly core: CoreCrypto;
  readonly credential: CredentialRef;
}

type Calls = {
  readonly [M in CoreCryptoMethod]: (params: CoreCryptoCalls[M]["params"]) => Promise<CoreCryptoCalls[M]["result"]>;
};

const clients = new Map<string, Client>();
const submitting = new Map<number, (refusal: string | undefined) => void>();

const calls: Calls = {
  createClient: async ({ client, ciphersuite }) => {
    const core = CoreCrypto.new(await Database.inMemory());
    const clientId = new ClientId(new Uuid(randomUUID()), new DeviceId(1n), "example.org");
    const credential = await core.transaction(async (context) => {
      const sendCommitBundle = (bundle: CommitBundle): Promise<void> => submit(client, bundle);
      const prepareForTransport = (): Promise<Uint8Array> => Promise.reject(new Error("no history is shared"));
      await context.mlsInit(clientId, { sendCommitBundle, prepareForTransport });
      return context.addCredential(Credential.basic(cipherSuiteFromU16(ciphersuite), clientId));
    });
    clients.set(client, { core, credential });
    return { identity: clientId.copyBytes() };
  },
  keyPackages: async ({ client, count }) =>
    inTransaction(client, async (context, { credential }) => {
      const made: Uint8Array[] = [];
      for (let n = 0; n < count; n += 1) {
        made.push((await context.generateKeyPackage(credential)).serialize());
      }
      return made;
    }),
  createGroup: async ({ client, groupId, externalSenderKey }) =>
    inTransaction(client, async (context, { credential }) => {
      const sender =
        externalSenderKey && ExternalSender.parsePublicKey(externalSenderKey, credential.signatureScheme());
      await context.createConversation(new ConversationId(groupId), credential, sender);
      return undefined;
    }),
  add: async ({ client, groupId, keyPackages }) =>
    inTransaction(client, async (context) => {
      const packages = keyPackages.map((bytes) => new KeyPackage(bytes));
      await context.addClientsToConversation(new ConversationId(groupId), packages);
      return undefined;
    }),
  remove: async ({ client, groupId, identities }) =>
    inTransaction(client, async (context) => {
      const id = new ConversationId(groupId);
      const wanted = identities.map((identity) => Buffer.from(identity));
      const members = await context.getClientIds(id);
      const gone = members.filter((member) => wanted.some((identity) => identity.equals(member.copyBytes())));
      if (gone.length !== wanted.length) throw new Error("not all of them are members");
      await context.removeClientsFromConversation(id, gone);
      return undefined;
    }),
  update: async ({ client, groupId }) =>
    inTransaction(client, async (context) => {
      await context.updateKeyingMaterial(new ConversationId(groupId));
      return undefined;
    }),
  commitPending: async ({ client, groupId }) =>
    inTransaction(client, async (context) => {
      await context.commitPendingProposals(new ConversationId(groupId));
      return undefined;
    }),
  joinFromWelcome: async ({ client, welcome }) =>
    inTransaction(client, async (context) => (await context.processWelcomeMessage(new Welcome(welcome))).copyBytes()),
  joinExternally: async ({ client, groupInfo }) =>
    inTransaction(client, async (context, { credential }) =>
      (await context.joinByExternalCommit(new GroupInfo(groupInfo), credential)).copyBytes(),
    ),
  forget: async ({ client, groupId }) =>
    inTransaction(client, async (context) => {
      await context.wipeConversation(new ConversationId(groupId));
      return undefined;
    }),
  encrypt: async ({ client, groupId, data }) =>
    inTransaction(client, async (context) => context.encryptMessage(new ConversationId(groupId), data)),
  receive: async ({ client, groupId, message }) =>
    inTransaction(client, async (context) => {
      const received = await context.decryptMessage(new ConversationId(groupId), message);
      return DecryptedMessage.Text.instanceOf(received) ? received.inner.plaintext : undefined;
    }),
  epoch: async ({ client, groupId }) =>
    inTransaction(client, async (context) => context.conversationEpoch(new ConversationId(groupId))),
  exportSecret: async ({ client, groupId, length }) =>
    inTransaction(client, async (context) =>
      (await context.exportSecretKey(new ConversationId(groupId), length)).copyBytes(),
    ),
};

async function inTransaction<T>(
  name: string,
  work: (context: CoreCryptoContext, client: Client) => Promise<T>,
): Promise<T> {
  const client = clients.get(name);
  if (client === undefined) throw new Error(`no client is called ${name}`);
  return client.core.transaction((context) => work(context, client));
}

let submitted = 0;

/** Waits for the back-end's word: core-crypto goes on to the next epoch only when this resolves. */
async function submit(client: string, { commit, welcome, groupInfo }: CommitBundle): Promise<void> {
  const id = (submitted += 1);
  const refusal = await new Promise<string | undefined>((resolve) => {
    submitting.set(id, resolve);
    const bundle = { commit, welcome: welcome?.serialize(), groupInfo: groupInfo.payload };
    say({ kind: "submit", id, client, bundle });
  });
  if (refusal !== undefined) throw MlsTransportError.MessageRejected.new({ reason: refusal });
}

async function answer(id: number, method: CoreCryptoMethod, params: unknown): Promise<void> {
  try {
    const call = calls[method] as (params: unknown) => Promise<unknown>;
    say({ kind: "result", id, result: await call(params) });
  } catch (error) {
    say({ kind: "error", id, message: `${method}: ${explain(error)}` });
  }
}

/** The library's errors carry what happened in nested `inner` fields; `message` names only the outermost class. */
function explain(error: unknown): string {
  const { message, inner } = error as { readonly message?: string; readonly inner?: unknown };
  const within =
    inner === undefined
      ? ""
      : ` ${JSON.stringify(inner, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}`;
  return `${message ?? String(error)}${within}`;
}

function say(message: FromCoreCrypto): void {
  process.send?.(message);
}

/** What the library expects of a browser. */
async function openLibrary(): Promise<void> {
  const fromNetwork = globalThis.fetch;
  const fetchFile: typeof fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    if (!url.startsWith("file:")) return fromNetwork(input, init);
    return new Response(await readFile(new URL(url)), { headers: { "content-type": "application/wasm" } });
  };
  const isError = (value: unknown): boolean => value instanceof Error;
  Object.assign(globalThis, { window: globalThis, fetch: fetchFile });
  if (!("isError" in Error)) Object.assign(Error, { isError });
  const library = import.meta.resolve("@wireapp/core-crypto/browser");
  await initWasmModule(new URL("autogenerated/wasm-bindgen/index_bg.wasm", library).href);
}

process.on("message", (message: ToCoreCrypto) => {
  if (message.kind === "call") return void answer(message.id, message.method, message.params);
  submitting.get(message.id)?.(message.refusal);
  submitting.delete(message.id);
});
process.once("disconnect", () => process.exit());
await openLibrary();
say({ kind: "ready", version: version() });
