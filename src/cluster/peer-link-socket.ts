// The network between nodes, as the links see it: a socket that carries whole messages in their order, or ends.
// Real ones are WebSockets; the simulation has its own.
import { WebSocket } from "ws";
import { PEER_PATH, PEER_SUBPROTOCOL } from "./peer-frames.ts";

export interface PeerSocket {
  readonly readyState: number;
  readonly OPEN: number;
  /** Bytes that wait for the network. */
  readonly bufferedAmount: number;
  send(message: Uint8Array): void;
  ping(): void;
  terminate(): void;
  /** Nothing is read until `resume()`. */
  pause(): void;
  resume(): void;
  readonly isPaused: boolean;
  on(event: "message", heard: (data: Uint8Array) => void): unknown;
  on(event: "pong" | "close", heard: () => void): unknown;
  on(event: "error", heard: (error: Error) => void): unknown;
}

/** Begins to connect; the socket says `close` when nothing comes of it. */
export type DialPeer = (address: string) => PeerSocket;

const HANDSHAKE_MS = 4_000;

/** Whom to believe on a link that is encrypted. That the other is a node, and means this one, it proves besides. */
export interface LinkTrust {
  /** PEM of the authority; without it the system's. */
  readonly ca: string | undefined;
  /** The name that the other's certificate must carry; without it the host that is dialled. */
  readonly serverName: string | undefined;
}

/**
 * Dials over WebSocket, on the port on which the other node takes its clients.
 * @param trust absent: the port speaks no TLS
 */
export function webSocketDialer(limits: { readonly peerMessageBytesMax: number }, trust?: LinkTrust): DialPeer {
  const { ca, serverName } = trust ?? {};
  const scheme = trust === undefined ? "ws" : "wss";
  return (address) =>
    new WebSocket(`${scheme}://${address}${PEER_PATH}`, PEER_SUBPROTOCOL, {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_MS,
      maxPayload: limits.peerMessageBytesMax,
      ...(ca === undefined ? {} : { ca }),
      ...(serverName === undefined ? {} : { servername: serverName }),
    });
}
