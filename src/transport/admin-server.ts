// Health, metrics and an operator's requests over HTTP on a port of their own. Health and metrics ask for no key, so
// it listens on loopback unless it is told otherwise.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listen } from "./listen.ts";
import { operatorPage, type OperatorPagesOptions } from "./operator-pages.ts";

export interface AdminServerOptions {
  readonly host: string;
  readonly port: number;
  /** Whether traffic should be sent here now. */
  ready(): Promise<boolean>;
  /** Shards whose history this node found lost since it started. */
  lineagesChanged(): number;
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
  readonly operator: OperatorPagesOptions;
}

export interface AdminServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Longest a probe waits for `ready`. */
const READY_MS = 2000;
const HEADERS_MS = 5000;
const CONNECTIONS_MAX = 256;

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const bounds = {
    headersTimeout: HEADERS_MS,
    requestTimeout: HEADERS_MS,
    connectionsCheckingInterval: HEADERS_MS / 2,
  };
  const server = createServer(bounds, (request, response) => {
    void respond(options, request, response);
  });
  server.maxConnections = CONNECTIONS_MAX;
  const { host, port } = options;
  return {
    port: await listen(server, { host, port, settings: { host: "adminHost", port: "adminPort" } }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(options: AdminServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { status, type, body } = await page(options, request).catch(() => text(500, "failed"));
  const challenge = status === 401 ? { "www-authenticate": 'Bearer realm="aegis"' } : {};
  response.writeHead(status, { "content-type": type, "cache-control": "no-store", ...challenge });
  response.end(request.method === "HEAD" ? undefined : body);
}

async function page(options: AdminServerOptions, request: IncomingMessage): Promise<Page> {
  const forOperator = await operatorPage(options.operator, request);
  if (forOperator !== undefined) {
    const { status, body } = forOperator;
    return { status, type: "application/json", body: `${JSON.stringify(body)}\n` };
  }
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "only GET");
  switch ((request.url ?? "").split("?")[0]) {
    case "/healthz":
      return text(200, "ok");
    case "/readyz":
      return (await readyInTime(options)) ? text(200, readiness(options.lineagesChanged())) : text(503, "not ready");
    case "/metrics": {
      const { contentType, body } = await options.metrics();
      return { status: 200, type: contentType, body };
    }
    default:
      return text(404, "not found");
  }
}

function text(status: number, body: string): Page {
  return { status, type: "text/plain; charset=utf-8", body: `${body}\n` };
}

/** The node serves on after a loss of history, since nobody else could serve better; the probe's text tells of it. */
function readiness(lineagesChanged: number): string {
  if (lineagesChanged === 0) return "ready";
  return `ready; since its start this node found stored history lost: shards with a new lineage: ${lineagesChanged}`;
}

/** An outage is an answer here: not ready. */
function readyInTime(options: AdminServerOptions): Promise<boolean> {
  const tooLate = new Promise<boolean>((resolve) => {
    setTimeout(resolve, READY_MS, false).unref();
  });
  return Promise.race([options.ready().catch(() => false), tooLate]);
}
