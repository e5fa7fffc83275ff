// A credential that is not accepted any more: what was made of it while it was can still be asked for.
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeX509Credential } from "../../src/mls/credential.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import type { MethodName } from "../../src/protocol/methods.ts";
import type { Settings } from "../../src/protocol/schemas/application.ts";
import { IdentityProviders } from "../../src/services/identity-provider-choice.ts";
import { IdentityService } from "../../src/services/identity-service.ts";
import type { Answer } from "../../src/services/request-port.ts";
import type { ApplicationRequest } from "../../src/services/service-ports.ts";
import { TagDirectory } from "../../src/services/tag-directory.ts";
import { SETTINGS } from "../support/actor-commands.ts";
import { ActorWorld, APPLICATION } from "../support/actor-world.ts";
import { basicCredential } from "../support/app-world.ts";
import { CertificateWorld } from "../support/certificates.ts";
import { x509Provider } from "../support/certified-devices.ts";
import { recipes, type RecipeName } from "../support/identity-provider-recipes.ts";

const LONG_MS = 400 * 86_400_000;
const certificates = new CertificateWorld(recipes, Date.now());
const x509 = (anchors: readonly RecipeName[]): Settings =>
  ({ ...SETTINGS, identityProvider: x509Provider(certificates, { anchors }) }) as Settings;
const leaf = encodeX509Credential(certificates.ders(["leaf"]));

let world: ActorWorld;
let service: IdentityService;
let aheadMs: number;

beforeEach(async () => {
  world = await ActorWorld.open(4);
  aheadMs = 0;
  const { host } = await world.node();
  const { store, clock } = world;
  service = new IdentityService(
    {
      store,
      clock: { ...clock, now: () => clock.now() + aheadMs },
      identityProviders: new IdentityProviders(),
      newId: randomUUID,
      turn: () => Promise.resolve(),
      actors: host,
    },
    new TagDirectory({ store, turn: () => Promise.resolve() }),
    { credentialBytesMax: 65_536 },
  );
});
afterEach(() => world.close());

function request(method: MethodName, params: object, settings: Settings, key: string): ApplicationRequest {
  return {
    method,
    params,
    principal: { kind: "application", applicationId: APPLICATION, keyId: "k", scopes: ["identity"] },
    session: "s",
    key,
    deadline: performance.now() + 5_000,
    applicationId: APPLICATION,
    settings,
  };
}

/** The answer as the wire has it. */
async function create(settings: Settings, clientIdentity: Uint8Array, key: string): Promise<Answer> {
  const params = { clientIdentity, tags: [] };
  return decode(encode(await service.create(request("identity.create", params, settings, key), params))) as Answer;
}

describe("[E4] a create again under its key is answered as the first time", () => {
  it("when the credential has expired since; another key is refused for it", async () => {
    const settings = x509(["root"]);
    const created = await create(settings, leaf, "k");
    expect(created).toMatchObject({ kind: "done", result: { handle: "carol" } });
    aheadMs = LONG_MS;
    expect(await create(settings, leaf, "k")).toEqual(created);
    const details = { cause: "expired" };
    expect(await create(settings, leaf, "other")).toMatchObject({ refusal: { reason: "IDENTITY_INVALID", details } });
  });

  it("when its trust anchor has gone since", async () => {
    const created = await create(x509(["root"]), leaf, "k");
    expect(created.kind).toBe("done");
    expect(await create(x509(["otherRoot"]), leaf, "k")).toEqual(created);
  });

  it("when the application has another kind of provider since", async () => {
    const basic = basicCredential("dora");
    const created = await create(SETTINGS, basic, "k");
    expect(created.kind).toBe("done");
    expect(await create(x509(["root"]), basic, "k")).toEqual(created);
    const details = { cause: "type_unsupported" };
    const other = await create(x509(["root"]), basic, "other");
    expect(other).toMatchObject({ refusal: { reason: "IDENTITY_INVALID", details } });
  });
});

it("an identity is resolved for as long as a client holds it, accepted or not", async () => {
  const settings = x509(["root"]);
  const created = await create(settings, leaf, "k");
  if (created.kind === "refused") throw new Error(created.refusal.reason);
  const { clientId } = created.result as { clientId: string };
  aheadMs = LONG_MS;
  const params = { clientIdentity: leaf };
  const found = await service.resolve(request("identity.resolve", params, settings, ""), params);
  expect(found).toEqual({ kind: "done", result: { clientId, version: 1, current: true } });
});
