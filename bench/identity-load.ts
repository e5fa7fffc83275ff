// Identities with three tags each, made and looked up over the wire through the SDK, over several connections.
// Ends at the first answer that is not right.
import { connect, type AegisClient } from "aegis-mls/client";

export interface LoadOptions {
  readonly url: string;
  readonly token: string;
  readonly count: number;
  readonly sockets: number;
  /** Unanswered calls, over all sockets together. */
  readonly inFlight: number;
}

const PAGE = 1000;
const TEAMS = 100;
const TTL_MS = 30_000;

export function nameOf(index: number): string {
  return `person-${String(index)}`;
}

export function tagsOf(index: number): string[] {
  return [`team:${String(index % TEAMS)}`, `account:${String(Math.floor(index / 2))}`, `device:${String(index)}`];
}

export function credentialOf(name: string): Uint8Array {
  const identity = new TextEncoder().encode(name);
  return Uint8Array.of(0, 1, identity.length, ...identity);
}

/** @returns client ids by index */
export async function createIdentities(options: LoadOptions): Promise<string[]> {
  const clientIds: string[] = [];
  await inTurns(options, async (client, index) => {
    const record = await client.identity.create({ clientIdentity: credentialOf(nameOf(index)), tags: tagsOf(index) });
    clientIds[index] = record.clientId;
  });
  return clientIds;
}

/** Calls that change nothing and read nothing: what the wire and the dispatch cost by themselves. */
export async function validateIdentities(options: LoadOptions): Promise<void> {
  await inTurns(options, async (client, index) => {
    const { valid } = await client.identity.validate({ clientIdentity: credentialOf(nameOf(index)) });
    if (!valid) throw new Error("a good credential was called invalid");
  });
}

/** Every identity by the tag of its team, a page at a time, each exactly once and as it was created. */
export async function findTeams(options: LoadOptions, clientIds: readonly string[]): Promise<void> {
  const seen = new Set<string>();
  await inTurns({ ...options, count: TEAMS }, async (client, team) => {
    let cursor: string | undefined;
    do {
      const all = [`team:${String(team)}`];
      const page = await client.identity.find({ all, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
      for (const record of page.clients) {
        judge(record, clientIds);
        if (seen.has(record.clientId)) throw new Error(`${record.handle} was found twice`);
        seen.add(record.clientId);
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
  });
  if (seen.size !== clientIds.length) throw new Error(`${String(clientIds.length - seen.size)} identities are missing`);
}

/** Every identity by the tag that only it has. */
export async function findEach(options: LoadOptions, clientIds: readonly string[]): Promise<void> {
  await inTurns(options, async (client, index) => {
    const { clients } = await client.identity.find({ all: [`device:${String(index)}`] });
    const [record, ...others] = clients;
    if (record === undefined || others.length > 0)
      throw new Error(`${nameOf(index)} was found ${String(clients.length)} times`);
    judge(record, clientIds);
    if (record.handle !== nameOf(index)) throw new Error(`${record.handle} was found for ${nameOf(index)}`);
  });
}

function judge(
  record: Awaited<ReturnType<AegisClient["identity"]["find"]>>["clients"][number],
  clientIds: readonly string[],
): void {
  const index = Number(record.handle.slice("person-".length));
  const right =
    record.handle === nameOf(index) &&
    record.clientId === clientIds[index] &&
    record.version === 1 &&
    [...record.tags].sort().join() === tagsOf(index).sort().join() &&
    Buffer.from(record.clientIdentity).equals(credentialOf(record.handle));
  if (!right) throw new Error(`${record.handle} is not as it was created`);
}

/** Runs `work` for 0 … count-1, a bounded number at once, spread over the sockets. */
async function inTurns(
  { url, token, count, sockets, inFlight }: LoadOptions,
  work: (client: AegisClient, index: number) => Promise<void>,
): Promise<void> {
  const clients = await Promise.all(Array.from({ length: sockets }, () => connect({ url, token, ttlMs: TTL_MS })));
  let next = 0;
  const worker = async (n: number): Promise<void> => {
    const client = clients[n % sockets] as AegisClient;
    while (next < count) {
      next += 1;
      await work(client, next - 1);
    }
  };
  try {
    await Promise.all(Array.from({ length: inFlight }, (_, n) => worker(n)));
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}
