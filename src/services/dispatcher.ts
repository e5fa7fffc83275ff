// One method, one handler: brings a checked request to its service with what governs it, and turns an
// outage into a retryable refusal in this one place. Scope was judged before (E2).
import { refuse } from "../protocol/errors.ts";
import type { MethodName, Params } from "../protocol/methods.ts";
import { StoreUnavailable } from "../store/store.ts";
import type { ApplicationDirectory } from "./application-directory.ts";
import type { ApplicationService } from "./application-service.ts";
import type { GroupLifecycleService } from "./group-lifecycle-service.ts";
import type { GroupService } from "./group-service.ts";
import type { HandshakeService } from "./handshake-service.ts";
import type { IdentityService } from "./identity-service.ts";
import type { KeyPoolService } from "./key-pool-service.ts";
import type { Answer, Dispatch, Request } from "./request-port.ts";
import { refused, type ApplicationRequest } from "./service-ports.ts";
import type { StreamService } from "./stream-service.ts";

export interface Services {
  readonly directory: ApplicationDirectory;
  readonly applications: ApplicationService;
  readonly identities: IdentityService;
  readonly keyPools: KeyPoolService;
  readonly groups: GroupService;
  readonly groupLives: GroupLifecycleService;
  readonly handshakes: HandshakeService;
  readonly streams: StreamService;
  /** The store did not answer. */
  unavailable(error: unknown): void;
}

/** Methods that belong to the session itself and never come here. */
type SessionMethod = "subscription.open" | "subscription.add" | "subscription.remove" | "subscription.close";
type OperatorMethod = Extract<MethodName, `application.${string}`>;
type ApplicationMethod = Exclude<MethodName, SessionMethod | OperatorMethod>;

type OperatorHandlers = { readonly [M in OperatorMethod]: (request: Request, params: Params<M>) => Promise<Answer> };
type ApplicationHandlers = {
  readonly [M in ApplicationMethod]: (request: ApplicationRequest, params: Params<M>) => Promise<Answer>;
};
type AnyHandler<R> = (request: R, params: unknown) => Promise<Answer>;

export function createDispatch(services: Services): Dispatch {
  const forOperator = operatorHandlers(services) as Record<string, AnyHandler<Request> | undefined>;
  const forApplication = applicationHandlers(services) as Record<string, AnyHandler<ApplicationRequest> | undefined>;
  return async (request) => {
    try {
      const operator = forOperator[request.method];
      if (operator !== undefined) return await operator(request, request.params);
      const handler = forApplication[request.method];
      if (handler === undefined) return refused("UNKNOWN_METHOD");
      const { principal } = request;
      if (principal.kind === "operator") return refused("SCOPE");
      const settings = await services.directory.settings(principal.applicationId);
      // The application went while its session was still open.
      if (settings === undefined) return refused("APPLICATION_NOT_FOUND");
      return await handler({ ...request, applicationId: principal.applicationId, settings }, request.params);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      services.unavailable(error);
      return { kind: "refused", refusal: refuse("STORE_UNAVAILABLE") };
    }
  };
}

function operatorHandlers({ applications }: Services): OperatorHandlers {
  return {
    "application.create": (request, params) => applications.create(request, params),
    "application.list": (request, params) => applications.list(request, params),
    "application.delete": (request, params) => applications.delete(request, params),
    "application.get": (request, params) => applications.get(request, params),
    "application.update": (request, params) => applications.update(request, params),
    "application.createKey": (request, params) => applications.createKey(request, params),
    "application.listKeys": (request, params) => applications.listKeys(request, params),
    "application.revokeKey": (request, params) => applications.revokeKey(request, params),
  };
}

function applicationHandlers({
  identities,
  keyPools,
  groups,
  groupLives,
  handshakes,
  streams,
}: Services): ApplicationHandlers {
  return {
    "identity.create": (request, params) => identities.create(request, params),
    "identity.get": (request, params) => identities.get(request, params),
    "identity.find": (request, params) => identities.find(request, params),
    "identity.resolve": (request, params) => identities.resolve(request, params),
    "identity.history": (request, params) => identities.history(request, params),
    "identity.update": (request, params) => identities.update(request, params),
    "identity.validate": (request, params) => identities.validate(request, params),
    "identity.delete": (request, params) => identities.delete(request, params),
    "keyPool.publish": (request, params) => keyPools.publish(request, params),
    "keyPool.claim": (request, params) => keyPools.claim(request, params),
    "keyPool.status": (request, params) => keyPools.status(request, params),
    "keyPool.list": (request, params) => keyPools.list(request, params),
    "keyPool.remove": (request, params) => keyPools.remove(request, params),
    "group.create": (request, params) => groupLives.create(request, params),
    "group.commit": (request, params) => handshakes.commit(request, params),
    "group.putGroupInfo": (request, params) => groupLives.putGroupInfo(request, params),
    "group.propose": (request, params) => handshakes.propose(request, params),
    "group.send": (request, params) => handshakes.send(request, params),
    "group.get": (request, params) => groups.get(request, params),
    "group.tree": (request, params) => groups.tree(request, params),
    "group.members": (request, params) => groups.members(request, params),
    "group.list": (request, params) => groups.list(request, params),
    "group.update": (request, params) => groupLives.update(request, params),
    "group.delete": (request, params) => groupLives.delete(request, params),
    "stream.read": (request, params) => streams.read(request, params),
    "stream.acknowledge": (request, params) => streams.acknowledgeRequest(request, params),
  };
}
