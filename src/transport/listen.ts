// Opens a server's port. Where that can't be done the operator is told which setting is to blame, not the system's
// code alone: a node has two ports on two hosts. Never tries again: whoever starts the node does.
import type { AddressInfo, ListenOptions } from "node:net";

/** What of a server it takes to open its port. */
interface Listening {
  listen(options: ListenOptions, opened: () => void): unknown;
  once(event: "error", heard: (error: Error) => void): unknown;
  off(event: "error", heard: (error: Error) => void): unknown;
  address(): AddressInfo | string | null;
}

export interface ListenAt {
  readonly host: string;
  readonly port: number;
  /** What the operator calls them. */
  readonly settings: { readonly host: string; readonly port: string };
}

/** The message names the setting. */
export class ListenRefused extends Error {
  override readonly name = "ListenRefused";
}

const BACKLOG = 1024;
const WHY: Readonly<Record<string, { readonly of: "host" | "port"; readonly text: string }>> = {
  EADDRINUSE: { of: "port", text: "another process has it" },
  EACCES: { of: "port", text: "this user may not open it" },
  EADDRNOTAVAIL: { of: "host", text: "no address of this machine" },
  ENOTFOUND: { of: "host", text: "no such name" },
  EAI_AGAIN: { of: "host", text: "the name can't be looked up" },
};

/** Resolves with the port. @throws ListenRefused */
export function listen(server: Listening, at: ListenAt): Promise<number> {
  const { host, port } = at;
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(refusal(at, error));
    server.once("error", failed);
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.off("error", failed);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function refusal({ host, port, settings }: ListenAt, error: NodeJS.ErrnoException): ListenRefused {
  const why = WHY[error.code ?? ""];
  const named = why === undefined ? `${settings.host} and ${settings.port}` : settings[why.of];
  const text = why === undefined ? "" : `: ${why.text}`;
  return new ListenRefused(
    `${named} can't be listened on${text} (${error.code ?? error.name} at ${host}:${String(port)})`,
    {
      cause: error,
    },
  );
}
