// An update to the identity that the client has already, while another one is about to change it.
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { IdentityProviders } from "../../src/services/identity-provider-choice.ts";
import { IdentityService } from "../../src/services/identity-service.ts";
import type { Answer } from "../../src/services/request-port.ts";
import type { ApplicationRequest } from "../../src/services/service-ports.ts";
import { TagDirectory } from "../../src/services/tag-directory.ts";
import { SETTINGS } from "../support/actor-commands.ts";
import { ActorWorld, APPLICATION } from "../support/actor-world.ts";
import { basicCredential } from "../support/app-world.ts";

const [one, other] = [basicCredential("one"), basicCredential("other")];

function request(method: "identity.create" | "identity.update", params: object): ApplicationRequest {
  return {
    method,
    params,
    principal: { kind: "application", applicationId: APPLICATION, keyId: "k", scopes: ["identity"] },
    session: "s",
    key: randomUUID(),
    deadline: performance.now() + 5_000,
    applicationId: APPLICATION,
    settings: SETTINGS,
  };
}

function handleOf(answer: Answer): string {
  if (answer.kind === "refused") throw new Error(answer.refusal.reason);
  return (answer.result as { handle: string }).handle;
}

it("[G4] is answered with that identity, whatever came between its reading and its turn", async () => {
  const world = await ActorWorld.open(4);
  try {
    const { host } = await world.node();
    const { store, clock } = world;
    let between: (() => Promise<void>) | undefined;
    const service = new IdentityService(
      {
        store,
        clock,
        identityProviders: new IdentityProviders(),
        newId: randomUUID,
        turn: () => Promise.resolve(),
        actors: {
          call: async (call) => {
            const meanwhile = call.command.type === "update" ? between : undefined;
            if (meanwhile !== undefined) between = undefined;
            await meanwhile?.();
            return host.call(call);
          },
        },
      },
      new TagDirectory({ store, turn: () => Promise.resolve() }),
      { credentialBytesMax: 65_536 },
    );
    const first = { clientIdentity: one, tags: [] };
    const created = await service.create(request("identity.create", first), first);
    if (created.kind === "refused") throw new Error(created.refusal.reason);
    const { clientId } = created.result as { clientId: string };
    const update = async (clientIdentity: Uint8Array): Promise<string> => {
      const params = { clientId, clientIdentity };
      return handleOf(await service.update(request("identity.update", params), params));
    };
    between = async () => {
      expect(await update(other)).toBe("other");
    };
    expect(await update(one)).toBe("one");
  } finally {
    await world.close();
  }
});
