// The TypeScript SDK of Aegis: `connect` gives a client whose calls are retried safely and whose
// subscriptions outlive the connection. Holds no server code.
import { randomUUID } from "node:crypto";
import type { ServerFrame, Welcome } from "../protocol/frames.ts";
import { methods, type Result } from "../protocol/methods.ts";
import { connectionClosed, localError, type AegisError } from "./aegis-error.ts";
import { Calls } from "./calls.ts";
import { clientSettings, type CallOptions, type ClientSettings, type ConnectOptions } from "./client-options.ts";
import { Connection } from "./connection.ts";
import { Exchanges } from "./exchanges.ts";
import type { CreditWindow } from "./event-queue.ts";
import { namespaces, type CallArguments, type CallableMethod, type Namespaces } from "./namespaces.ts";
import { SessionRequests } from "./session-requests.ts";
import { Subscription, type SubscriptionChannel } from "./subscription.ts";

export { AegisError } from "./aegis-error.ts";
export type { AddedStream, StreamToAdd } from "./attached-stream.ts";
export type { CallOptions, ConnectOptions, ConnectionObserver } from "./client-options.ts";
export type { CallableMethod } from "./namespaces.ts";
export { eventBody } from "./stream-item.ts";
export type { StreamEvent, StreamItem, StreamName, StreamReset } from "./stream-item.ts";
export type { Subscription } from "./subscription.ts";
export type { MethodName, ParamsInput, Result } from "../protocol/methods.ts";

/** A client with its methods as functions: `client.identity.create(params)`. */
export type AegisClient = Client & Namespaces;

/**
 * Connects, and resolves at the first WELCOME. From then on the client reconnects by itself until it is
 * closed or the server says that it must not.
 * @throws AegisError when no server was reached in `connectTimeoutMs`, or the token was refused
 * @throws TypeError when the options can't be used
 */
export async function connect(options: ConnectOptions): Promise<AegisClient> {
  const client = new Client(clientSettings(options));
  const methodsAsFunctions = namespaces((method, params, callOptions) => client.submit(method, params, callOptions));
  await client.start();
  return Object.assign(client, methodsAsFunctions);
}

export class Client {
  /** Resolves when the client will never connect again: with the reason, or without after `close`. */
  readonly closed: Promise<AegisError | undefined>;
  readonly #settings: ClientSettings;
  readonly #connection: Connection;
  readonly #exchanges = new Exchanges();
  readonly #calls: Calls;
  readonly #sessionRequests: SessionRequests;
  readonly #subscriptions = new Set<Subscription>();
  readonly #numbers = new Map<number, Subscription>();
  #resolveClosed: (error: AegisError | undefined) => void = () => undefined;
  #started: { resolve(): void; reject(error: AegisError): void } | undefined;
  #ended: AegisError | undefined;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#connection = new Connection(settings, {
      opened: () => this.#opened(),
      frame: (frame) => this.#received(frame),
      lost: () => this.#lost(),
      ended: (error) => this.#end(error),
      writable: () => this.#calls.pump(),
      idle: () => this.#exchanges.size === 0,
    });
    this.#calls = new Calls(callChannel(this.#connection), this.#exchanges, settings);
    this.#sessionRequests = new SessionRequests({
      exchanges: this.#exchanges,
      send: (frame) => this.#connection.send(frame),
      settled: () => this.#calls.pump(),
    });
  }

  /** Resolves at the first WELCOME; rejects when there is none in time. */
  async start(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const started = new Promise<void>((resolve, reject) => {
      this.#started = { resolve, reject };
      timer = setTimeout(() => {
        const { urls } = this.#settings;
        const cause = this.#connection.lastFailure ?? "no answer";
        reject(connectionClosed(`no server was reached in time: ${cause}`, { urls, cause }));
      }, this.#settings.connectTimeoutMs);
      // What it throws is this promise's, so that nothing is left behind that rejects later.
      this.#connection.connect();
    });
    try {
      await started;
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#started = undefined;
    }
  }

  /** What the server said of the present session; undefined between two. */
  get welcome(): Welcome | undefined {
    return this.#connection.welcome;
  }

  /**
   * Calls a method. A mutation gets a fresh idempotency key unless one is given, and what is retryable is
   * sent again, over reconnects too, until `ttlMs` is over.
   * @throws AegisError
   */
  call<M extends CallableMethod>(method: M, ...[params, options]: CallArguments<M>): Promise<Result<M>> {
    return this.submit(method, params ?? {}, options) as Promise<Result<M>>;
  }

  /** As `call`, for a method that is known at run time only. */
  submit(method: CallableMethod, params: object, options: CallOptions = {}): Promise<unknown> {
    if (!Object.hasOwn(methods, method)) return Promise.reject(localError("UNKNOWN_METHOD", {}, { method }));
    return this.#calls.submit({
      method,
      params,
      key: methods[method].mutates ? (options.key ?? randomUUID()) : undefined,
      ttlMs: options.ttlMs ?? this.#settings.ttlMs,
      signal: options.signal,
      trace: options.trace,
    });
  }

  /** Opens a subscription. Its queue holds at most what `messages` and `bytes` allow. */
  subscribe(window: Partial<CreditWindow> = {}): Subscription {
    const subscription = new Subscription(this.#subscriptionChannel(), {
      messages: Math.max(1, window.messages ?? 256),
      bytes: Math.max(1, window.bytes ?? 1_048_576),
    });
    if (this.#ended !== undefined) {
      subscription.ended(this.#ended);
      return subscription;
    }
    this.#subscriptions.add(subscription);
    if (this.#connection.welcome !== undefined) subscription.opened();
    return subscription;
  }

  /** Ends everything: calls without an answer are rejected, subscriptions end. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  #opened(): void {
    for (const subscription of this.#subscriptions) subscription.opened();
    this.#calls.pump();
    this.#started?.resolve();
  }

  #received(frame: ServerFrame): void {
    if (frame.type === "response") this.#exchanges.answer(frame);
    else if (frame.type === "event") this.#numbers.get(frame.subscription)?.received(frame);
    else if (frame.type === "reset") this.#numbers.get(frame.subscription)?.reset(frame);
  }

  #lost(): void {
    this.#numbers.clear();
    this.#sessionRequests.lost();
    for (const subscription of this.#subscriptions) subscription.lost();
    this.#exchanges.loseAll();
  }

  #end(error: AegisError | undefined): void {
    this.#ended = error ?? localError("CANCELLED", { message: "the client was closed" });
    this.#calls.end(this.#ended);
    for (const subscription of this.#subscriptions) subscription.ended(error);
    this.#subscriptions.clear();
    this.#started?.reject(this.#ended);
    this.#resolveClosed(error);
  }

  #subscriptionChannel(): SubscriptionChannel {
    const connection = this.#connection;
    return {
      get messageBytesMax() {
        return connection.welcome?.limits.messageBytesMax ?? 0;
      },
      request: (method, params, answer) => this.#sessionRequests.ask(method, params, answer),
      send: (frame) => connection.send(frame),
      register: (number, subscription) => this.#numbers.set(number, subscription),
      forget: (subscription) => {
        this.#subscriptions.delete(subscription);
        for (const [number, other] of this.#numbers) if (other === subscription) this.#numbers.delete(number);
      },
    };
  }
}

function callChannel(connection: Connection) {
  return {
    get open() {
      return connection.open;
    },
    get limits() {
      return connection.welcome?.limits;
    },
    send: (frame: Uint8Array) => connection.send(frame),
  };
}
