// Runs core-crypto-child.ts and calls it: clients of an MLS implementation that nobody here wrote.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type {
  CommitBundle,
  CoreCryptoCalls,
  CoreCryptoMethod,
  FromCoreCrypto,
  ToCoreCrypto,
} from "./core-crypto-messages.ts";

/** Takes a commit to the back-end. Resolves when it was accepted; what it throws is the refusal. */
export type Submit = (bundle: CommitBundle) => Promise<void>;

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class CoreCryptoProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #submits = new Map<string, Submit>();
  #version = "";
  #called = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(): Promise<CoreCryptoProcess> {
    const file = path.join(import.meta.dirname, "core-crypto-child.ts");
    const loader = path.join(import.meta.dirname, "typescript-loader.mjs");
    const child = fork(file, { execArgv: ["--import", loader], serialization: "advanced" });
    const running = new CoreCryptoProcess(child);
    await running.#ready();
    return running;
  }

  get version(): string {
    return this.#version;
  }

  call<M extends CoreCryptoMethod>(
    method: M,
    params: CoreCryptoCalls[M]["params"],
  ): Promise<CoreCryptoCalls[M]["result"]> {
    const id = (this.#called += 1);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#say({ kind: "call", id, method, params });
    });
  }

  /** Where the commits of a client go, from now on. */
  submitBy(client: string, submit: Submit): void {
    this.#submits.set(client, submit);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#child.on("message", (message: FromCoreCrypto) => {
        if (message.kind === "ready") {
          this.#version = message.version;
          resolve();
        } else this.#take(message);
      });
      this.#child.once("exit", (code, signal) => {
        const ended = new Error(`core-crypto's process ended with ${String(code ?? signal)}`);
        for (const waiting of this.#waiting.values()) waiting.reject(ended);
        this.#waiting.clear();
        reject(ended);
      });
    });
  }

  #take(message: Exclude<FromCoreCrypto, { kind: "ready" }>): void {
    if (message.kind === "submit") return void this.#submit(message.id, message.client, message.bundle);
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "result") waiting?.resolve(message.result);
    else waiting?.reject(new Error(message.message));
  }

  async #submit(id: number, client: string, bundle: CommitBundle): Promise<void> {
    try {
      const submit = this.#submits.get(client);
      if (submit === undefined) throw new Error(`${client} commits, and nobody takes it`);
      await submit(bundle);
      this.#say({ kind: "submitted", id, refusal: undefined });
    } catch (error) {
      this.#say({ kind: "submitted", id, refusal: String(error) });
    }
  }

  #say(message: ToCoreCrypto): void {
    this.#child.send(message);
  }
}
