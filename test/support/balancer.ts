// A TCP load balancer on loopback: each connection goes to the next backend that takes it, as haproxy would do it.
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export class Balancer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Ports that take part; a test may change it. */
  ports: readonly number[];
  #next = 0;

  private constructor(ports: readonly number[]) {
    this.ports = ports;
    this.#server = createServer((socket) => {
      socket.on("error", () => undefined);
      this.#keep(socket);
      this.#dial(socket, this.ports.length);
    });
  }

  static async start(ports: readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(ports);
    await new Promise<void>((resolve) => balancer.#server.listen(0, "127.0.0.1", resolve));
    return balancer;
  }

  get url(): string {
    return `ws://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}/v1/ws`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #dial(socket: Socket, triesLeft: number): void {
    const port = this.ports[this.#next++ % this.ports.length];
    if (triesLeft === 0 || port === undefined) {
      socket.destroy();
      return;
    }
    const backend = connect({ host: "127.0.0.1", port });
    this.#keep(backend);
    let connected = false;
    backend.once("connect", () => {
      connected = true;
      socket.pipe(backend).pipe(socket);
    });
    backend.on("error", () => {
      if (connected) socket.destroy();
      else this.#dial(socket, triesLeft - 1);
    });
    backend.on("close", () => {
      if (connected) socket.destroy();
    });
    socket.on("close", () => backend.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
