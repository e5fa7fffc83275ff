// What comes between a publish's judging and its turn. A pool that is being emptied is the one that must be filled: claims
// keep a publish from nothing, and what they took is not taken in again. Another history has it judged again.
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { ActorHost } from "../../src/actors/actor-host.ts";
import type { MethodName, Params } from "../../src/protocol/methods.ts";
import { IdentityProviders } from "../../src/services/identity-provider-choice.ts";
import { IdentityService } from "../../src/services/identity-service.ts";
import { KeyPoolService } from "../../src/services/key-pool-service.ts";
import type { Answer } from "../../src/services/request-port.ts";
import type { ApplicationRequest, ServicePorts } from "../../src/services/service-ports.ts";
import { TagDirectory } from "../../src/services/tag-directory.ts";
import type { Store } from "../../src/store/store.ts";
import { SETTINGS } from "../support/actor-commands.ts";
import { ActorWorld, APPLICATION } from "../support/actor-world.ts";
import { hexOf, keyPackages } from "../support/devices.ts";
import { MlsClient } from "../support/mls-client.ts";

interface Published {
  readonly accepted: readonly Uint8Array[];
  readonly rejected: readonly { readonly index: number; readonly reason: string }[];
}

/** Where requests go. */
let world: ActorWorld;
let host: ActorHost;
let worlds: ActorWorld[];
let service: KeyPoolService;
let mls: MlsClient;
let clientId: string;
/** When the marks have been read, and before the turn. */
let between: () => Promise<unknown>;
const nothing = () => Promise.resolve();
let credentialsJudged: number;

beforeEach(async () => {
  between = nothing;
  credentialsJudged = 0;
  worlds = [];
  clientId = randomUUID();
  mls = await MlsClient.create({ identity: "alice" });
  await begin();
});
afterEach(() => Promise.all(worlds.map((each) => each.close())));

/** A history in which there is the client, and nothing else. */
async function begin(): Promise<void> {
  world = await ActorWorld.open(4);
  worlds.push(world);
  ({ host } = await world.node());
  const ports: ServicePorts = {
    store: interrupted(world.store),
    clock: world.clock,
    identityProviders: counted(new IdentityProviders()),
    newId: () => clientId,
    turn: () => Promise.resolve(),
    actors: { call: (call) => host.call(call) },
  };
  const tags = new TagDirectory(ports);
  service = new KeyPoolService(ports, tags, { keyPackageBytesMax: 65_536 });
  const params = { clientIdentity: mls.credential, tags: [] };
  resultOf(
    await new IdentityService(ports, tags, { credentialBytesMax: 65_536 }).create(
      request("identity.create", params),
      params,
    ),
  );
}

/** The store of whatever history there is by then. */
function interrupted(first: Store): Store {
  return new Proxy(first, {
    get(_, name) {
      const target = world.store;
      if (name === "readMarks") {
        return async (...args: Parameters<Store["readMarks"]>) => {
          const marks = await target.readMarks(...args);
          if (args[2].some((mark) => mark.startsWith("used/"))) await between();
          return marks;
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Providers that count the packages' credentials: each is judged right before its signatures. */
function counted(providers: IdentityProviders): IdentityProviders {
  const of = providers.of.bind(providers);
  providers.of = (settings) => {
    const provider = of(settings);
    return {
      ...provider,
      validate: (...args) => {
        credentialsJudged += 1;
        return provider.validate(...args);
      },
    };
  };
  return providers;
}

function request(method: MethodName, params: object): ApplicationRequest {
  return {
    method,
    params,
    principal: { kind: "application", applicationId: APPLICATION, keyId: "k", scopes: ["identity", "keyPool"] },
    session: "s",
    deadline: performance.now() + 20_000,
    applicationId: APPLICATION,
    settings: SETTINGS,
  };
}

function resultOf(answer: Answer): unknown {
  if (answer.kind !== "done") throw new Error(answer.refusal.reason);
  return answer.result;
}

function publish(packages: readonly Uint8Array[], more: object = {}): Promise<Answer> {
  const params: Params<"keyPool.publish"> = { clientId, label: "", keyPackages: [...packages], reset: false, ...more };
  return service.publish(request("keyPool.publish", params), params);
}

/** The package, in hex; or why there is none. */
async function claim(): Promise<string> {
  const params: Params<"keyPool.claim"> = { targets: [{ clientId }], exclude: [], label: "", allowLastResort: true };
  const answer = resultOf(await service.claim(request("keyPool.claim", params), params));
  const { claimed, failed } = answer as { claimed: { keyPackage: Uint8Array }[]; failed: { reason: string }[] };
  return claimed[0] === undefined ? String(failed[0]?.reason) : hexOf(claimed[0].keyPackage);
}

async function removeAll(): Promise<void> {
  const params: Params<"keyPool.remove"> = { clientId, all: true };
  resultOf(await service.remove(request("keyPool.remove", params), params));
}

it("[G2] a package is claimed at each try, and the publish is done at the first", async () => {
  const [first, second, third] = (await keyPackages(mls, 3)) as [Uint8Array, Uint8Array, Uint8Array];
  await publish([first, second]);
  const taken: string[] = [];
  between = async () => taken.push(await claim());
  expect(resultOf(await publish([third]))).toMatchObject({ rejected: [], available: [{ available: 2 }] });
  expect(taken).toHaveLength(1);
  between = nothing;
  const all = new Set([...taken, await claim(), await claim()]);
  expect(all).toEqual(new Set([first, second, third].map(hexOf)));
  expect(await claim()).toBe("POOL_EMPTY");
});

it("[G2] a package that is sent again, and claimed meanwhile, is USED and goes out no second time", async () => {
  const [first, second] = (await keyPackages(mls, 2)) as [Uint8Array, Uint8Array];
  for (const reset of [false, true]) {
    const [again] = (await keyPackages(mls, 1)) as [Uint8Array];
    await publish([again]);
    between = claim;
    const { accepted, rejected } = resultOf(await publish([again, reset ? first : second], { reset })) as Published;
    expect(rejected).toMatchObject([{ index: 0, reason: "USED" }]);
    expect(accepted).toHaveLength(1);
    between = nothing;
    expect(await claim()).toBe(hexOf(reset ? first : second));
    expect(await claim()).toBe("POOL_EMPTY");
  }
});

it("[G2] a last resort that goes out meanwhile is USED among the others", async () => {
  const [last] = (await keyPackages(mls, 1)) as [Uint8Array];
  for (const reset of [false, true]) {
    await removeAll();
    const [next] = (await keyPackages(mls, 1)) as [Uint8Array];
    const lastResort = reset ? next : last;
    await publish([], { lastResort });
    between = claim;
    expect(resultOf(await publish([lastResort], { reset }))).toMatchObject({
      accepted: [],
      rejected: [{ reason: "USED" }],
    });
    between = nothing;
  }
});

it("[M1] a package that is removed meanwhile is judged again, and new", async () => {
  const [one] = (await keyPackages(mls, 1)) as [Uint8Array];
  await publish([one]);
  between = () => {
    between = nothing;
    return removeAll();
  };
  expect(resultOf(await publish([one]))).toMatchObject({ rejected: [], available: [{ available: 1 }] });
});

it("[G2] a package that was new in the history that was lost is judged by the one that is there", async () => {
  const [one, other] = (await keyPackages(mls, 2)) as [Uint8Array, Uint8Array];
  await publish([one]);
  const taken = await claim();
  const left = { world, host };
  await begin();
  await publish([other]);
  between = () => {
    between = nothing;
    ({ world, host } = left);
    return Promise.resolve();
  };
  expect(resultOf(await publish([one]))).toMatchObject({ accepted: [], rejected: [{ reason: "USED" }] });
  expect([taken, await claim()]).toEqual([hexOf(one), "POOL_EMPTY"]);
});

it("keys that come or go at each try end in STATE_MOVED, to be sent again, and no package is verified twice", async () => {
  const packages = await keyPackages(mls, 3);
  credentialsJudged = 0;
  let tries = 0;
  between = () => {
    tries += 1;
    return removeAll();
  };
  const answer = await publish(packages);
  expect(answer).toMatchObject({ kind: "refused", refusal: { reason: "STATE_MOVED", retryable: true } });
  expect(tries).toBeGreaterThan(1);
  expect(credentialsJudged).toBe(packages.length);
  between = nothing;
  expect(resultOf(await publish(packages))).toMatchObject({ rejected: [], available: [{ available: 3 }] });
});
