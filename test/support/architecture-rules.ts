// Who may import whom, as data (docs/ARCHITECTURE.md says it in words). Each rule carries one import that would
// break it: the architecture test plants it and must see the rule fail. Type imports count.
import type { IForbiddenRuleType } from "dependency-cruiser";

/** A file and the import statement in it that breaks the rule. */
interface Plant {
  readonly file: string;
  readonly source: string;
}

export interface ArchitectureRule {
  readonly rule: IForbiddenRuleType & { readonly name: string };
  readonly plant: Plant;
}

const telemetry = "^src/(((actor|cluster)-)?telemetry|seldom)\\.ts$";
/** Shares the event loop; open to whoever has much to do at once. */
const runQueue = "^src/(run-queue|frame-intake)\\.ts$";
const describeError = "^src/describe-error\\.ts$";
const settings = "^src/(config|setting|limit-settings|load-config|configuration-document)\\.ts$";

/** A room may import itself and what is listed; everything else in src is forbidden to it. */
function room(name: string, from: string, allowed: readonly string[], plant: Plant): ArchitectureRule {
  return {
    rule: {
      name,
      severity: "error",
      from: { path: from },
      to: { path: "^src/", pathNot: [from, describeError, ...allowed] },
    },
    plant,
  };
}

/** A package, or one of node's own modules, that only some files may import. */
function only(name: string, packagePath: string, allowed: readonly string[], plant: Plant): ArchitectureRule {
  return {
    rule: {
      name,
      severity: "error",
      from: { path: "^src/", ...(allowed.length > 0 && { pathNot: [...allowed] }) },
      to: { path: `(^|/)node_modules/(@types/)?${packagePath}/` },
    },
    plant,
  };
}

const rooms: readonly ArchitectureRule[] = [
  room("protocol-imports-itself", "^src/protocol/", [], {
    file: "src/protocol/planted.ts",
    source: 'import type { Store } from "../store/store.ts"; export type X = Store;',
  }),
  room("mls-imports-itself", "^src/mls/", [], {
    file: "src/mls/planted.ts",
    source: 'import { method } from "../protocol/method.ts"; export const x = method;',
  }),
  room("store-port-imports-nothing", "^src/store/store\\.ts$", [], {
    file: "src/store/store.ts",
    source: 'import type { x } from "./lmdb/driver.ts"; export type Store = typeof x;',
  }),
  room("lmdb-imports-the-port", "^src/store/lmdb/", ["^src/store/[^/]+\\.ts$"], {
    file: "src/store/lmdb/planted.ts",
    source: 'import { x } from "../redis/driver.ts"; export const y = x;',
  }),
  room("redis-imports-the-port", "^src/store/redis/", ["^src/store/[^/]+\\.ts$"], {
    file: "src/store/redis/planted.ts",
    source: 'import type { X } from "../../actors/host.ts"; export type Y = X;',
  }),
  room("actors-imports", "^src/actors/", ["^src/store/store\\.ts$", "^src/protocol/", "^src/mls/", telemetry], {
    file: "src/actors/planted.ts",
    source: 'import { x } from "../store/lmdb/driver.ts"; export const y = x;',
  }),
  room(
    "cluster-imports",
    "^src/cluster/",
    ["^src/store/store\\.ts$", "^src/protocol/", "^src/actors/actor-[^/]+\\.ts$", telemetry, runQueue],
    {
      file: "src/cluster/planted.ts",
      source: 'import { x } from "../services/service.ts"; export const y = x;',
    },
  ),
  room(
    "services-imports",
    "^src/services/",
    ["^src/actors/", "^src/mls/", "^src/protocol/", "^src/cluster/router\\.ts$", "^src/store/store\\.ts$", telemetry],
    { file: "src/services/planted.ts", source: 'import { x } from "../transport/session.ts"; export const y = x;' },
  ),
  room("transport-imports", "^src/transport/", ["^src/services/", "^src/protocol/", telemetry, runQueue], {
    file: "src/transport/planted.ts",
    source: 'import type { Store } from "../store/store.ts"; export type X = Store;',
  }),
  room("client-imports", "^src/client/(?!identity)", ["^src/client/", "^src/protocol/"], {
    file: "src/client/planted.ts",
    source: 'import { x } from "../mls/basic-provider.ts"; export const y = x;',
  }),
  room(
    "client-identity-imports",
    "^src/client/identity",
    ["^src/client/", "^src/protocol/", "^src/mls/([^/]*-provider|credential|extension)\\.ts$"],
    {
      file: "src/client/identity.ts",
      source: 'import { x } from "../mls/tree.ts"; export const y = x;',
    },
  ),
  room("cli-imports", "^src/cli/", ["^src/client/", "^src/protocol/", settings], {
    file: "src/cli/planted.ts",
    source: 'import { x } from "../services/service.ts"; export const y = x;',
  }),
  room("config-imports-nothing", settings, ["^src/protocol/"], {
    file: "src/config.ts",
    source: 'import { x } from "./services/service.ts"; export const y = x;',
  }),
  room("run-queue-imports-itself", runQueue, [], {
    file: "src/run-queue.ts",
    source: 'import { x } from "./services/service.ts"; export const y = x;',
  }),
  room("telemetry-imports", telemetry, ["^src/protocol/", "^src/store/store-event\\.ts$"], {
    file: "src/telemetry.ts",
    source: 'import { x } from "./services/service.ts"; export const y = x;',
  }),
];

const pureMachines: ArchitectureRule = {
  rule: {
    name: "machines-are-pure",
    severity: "error",
    comment: "L1: a machine imports xstate, its neighbours, the refusals and types; nothing that could do I/O.",
    from: { path: "^src/actors/[^/]+-machine\\.ts$" },
    to: {
      pathNot: ["(^|/)node_modules/xstate/", "^src/actors/", "^src/protocol/errors\\.ts$"],
      preCompilationOnly: false,
    },
  },
  plant: {
    file: "src/actors/planted-machine.ts",
    source: 'import { randomUUID } from "node:crypto"; export const x = randomUUID;',
  },
};

const noCycles: ArchitectureRule = {
  rule: {
    name: "no-cycles",
    severity: "error",
    from: { path: "^(src|bench|examples)/", pathNot: "/dist/" },
    to: { circular: true },
  },
  plant: {
    file: "src/services/circle-one.ts",
    source: 'import type { Two } from "./circle-two.ts"; export type One = Two | 1;',
  },
};

const noTests: ArchitectureRule = {
  rule: {
    name: "src-imports-only-src",
    severity: "error",
    from: { path: "^src/" },
    to: { path: "^(test|bench|examples|scripts)/" },
  },
  plant: {
    file: "src/services/planted-test.ts",
    source: 'import { x } from "../../test/support/support.ts"; export const y = x;',
  },
};

const packages: readonly ArchitectureRule[] = [
  only("ws-at-the-edges", "ws", ["^src/transport/", "^src/cluster/peer-link", "^src/client/"], {
    file: "src/services/planted-ws.ts",
    source: 'import type { WebSocket } from "ws"; export type X = WebSocket;',
  }),
  only("ioredis-in-store-redis", "ioredis", ["^src/store/redis/"], {
    file: "src/services/planted-ioredis.ts",
    source: 'import { Redis } from "ioredis"; export const x = Redis;',
  }),
  only("lmdb-in-store-lmdb", "lmdb", ["^src/store/lmdb/"], {
    file: "src/services/planted-lmdb.ts",
    source: 'import { open } from "lmdb"; export const x = open;',
  }),
  // Decision 2: the server reads MLS with its own decoders.
  only("ts-mls-not-in-the-server", "(ts-mls|@noble)", [], {
    file: "src/mls/planted-ts-mls.ts",
    source: 'import type { KeyPackage } from "ts-mls"; export type X = KeyPackage;',
  }),
  only("xstate-in-actors", "xstate", ["^src/actors/"], {
    file: "src/services/planted-xstate.ts",
    source: 'import { setup } from "xstate"; export const x = setup;',
  }),
  only("pino-in-telemetry", "(pino|prom-client)", [telemetry], {
    file: "src/services/planted-pino.ts",
    source: 'import { pino } from "pino"; export const x = pino;',
  }),
];

export const architectureRules: readonly ArchitectureRule[] = [...rooms, pureMachines, noCycles, noTests, ...packages];

/** The innocent files of the planted tree: what the planted imports point at. */
export const innocentFiles: Readonly<Record<string, string>> = {
  "src/actors/host.ts": 'import type { Store } from "../store/store.ts"; export type X = Store;',
  "src/actors/good-machine.ts":
    'import { setup } from "xstate"; import type { X } from "./host.ts"; export const x = setup as X;',
  "src/client/client.ts": 'import { method } from "../protocol/method.ts"; export const x = method;',
  "src/client/identity.ts": 'import { x } from "../mls/basic-provider.ts"; export const y = x;',
  "src/cluster/router.ts": 'import type { Store } from "../store/store.ts"; export type X = Store;',
  "src/config.ts": "export const x = 1;",
  "src/mls/basic-provider.ts": 'import { x as y } from "./tree.ts"; export const x = y;',
  "src/mls/tree.ts": "export const x = 1;",
  "src/protocol/method.ts": "export const method = 1;",
  "src/services/circle-two.ts": "export type Two = 2;",
  "src/services/service.ts": 'import type { X } from "../cluster/router.ts"; export const x = 1 as X;',
  "src/store/lmdb/driver.ts": 'import type { Store } from "../store.ts"; export const x = 1 as Store;',
  "src/store/redis/driver.ts": 'import { Redis } from "ioredis"; export const x = Redis;',
  "src/store/store.ts": "export type Store = number;",
  "src/telemetry.ts": 'import { pino } from "pino"; export const x = pino;',
  "src/transport/session.ts":
    'import { x } from "../services/service.ts"; import type { WebSocket } from "ws"; export const y = x as WebSocket;',
  "test/support/support.ts": "export const x = 1;",
};
/** The other half of the planted circle, written only together with the plants. */
export const circleBack = {
  file: "src/services/circle-two.ts",
  source: 'import type { One } from "./circle-one.ts"; export type Two = One | 2;',
} as const;
