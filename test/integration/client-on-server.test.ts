import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AegisError, connect, type AegisClient } from "../../src/client/client.ts";
import { ServerProcess } from "../support/server-process.ts";

/** A basic credential: type 1, and the identity with its length (RFC 9420 §5.3). */
function credential(handle: string): Uint8Array {
  const identity = Buffer.from(handle);
  return new Uint8Array([0, 1, identity.length, ...identity]);
}

describe("the SDK and the real server", () => {
  let server: ServerProcess;
  let client: AegisClient;

  beforeEach(async () => {
    server = await ServerProcess.start();
    const operator = await connect({ url: server.url, token: server.operatorToken });
    const { key } = await operator.application.create({ name: "sdk" });
    await operator.close();
    client = await connect({ url: server.url, token: key.secret, connectTimeoutMs: 30_000 });
  });
  afterEach(async () => {
    await client.close();
    await server.dispose();
  });

  async function handlesWithTag(tag: string): Promise<string[]> {
    const { clients } = await client.identity.find({ all: [tag], limit: 1000 });
    return clients.map(({ handle }) => handle).sort();
  }

  test("[G6] [F03] calls in flight at a kill -9 are answered once the server is back, each applied once", async () => {
    const handles = Array.from({ length: 300 }, (_, at) => `device-${String(at).padStart(3, "0")}`);
    let answered = 0;
    const creating = handles.map(async (handle) => {
      const record = await client.identity.create({ clientIdentity: credential(handle), tags: ["all"] });
      answered += 1;
      return record.clientId;
    });
    await expect.poll(() => answered, { interval: 1 }).toBeGreaterThan(20);
    await server.kill9();
    const before = answered;
    await server.restart();
    const ids = await Promise.all(creating);
    expect(before).toBeLessThan(300);
    expect(new Set(ids).size).toBe(300);
    expect(await handlesWithTag("all")).toEqual(handles);
  });

  test("[G5] [F03] a subscription goes on over kill -9 and SIGTERM: every event once, in order", async () => {
    const { clientId } = await client.identity.create({ clientIdentity: credential("v0") });
    const subscription = client.subscribe({ messages: 8, bytes: 4096 });
    expect(await subscription.add([{ kind: "client", id: clientId, after: "start" }])).toMatchObject([
      { recovered: true },
    ]);
    const seen: number[] = [];
    const consuming = (async () => {
      for await (const item of subscription) {
        if (item.kind !== "event") throw new Error(`a reset: ${item.reason}`);
        seen.push(item.offset);
        subscription.acknowledge(item);
        if (seen.length === 60) return;
      }
    })();
    for (let version = 1; version <= 60; version += 1) {
      if (version === 20) {
        await server.kill9();
        await server.restart();
      }
      if (version === 40) {
        await server.stop();
        await server.restart();
      }
      await client.identity.update({ clientId, clientIdentity: credential(`v${version}`) });
    }
    await consuming;
    expect(seen).toEqual(Array.from({ length: 60 }, (_, at) => at + 1));
    await expect.poll(async () => (await client.stream.read({ kind: "client", id: clientId })).events.length).toBe(0);
  });

  test("a call that is aborted before it ran does nothing", async () => {
    const { clientId } = await client.identity.create({ clientIdentity: credential("alice"), tags: ["first"] });
    const abortedBeforeItRan = async (): Promise<boolean> => {
      const { version } = await client.identity.update({ clientId, tags: { set: ["first"] } });
      const abort = new AbortController();
      const aborted = client.identity.update({ clientId, tags: { set: ["second"] } }, { signal: abort.signal });
      abort.abort(new Error("not wanted any more"));
      await expect(aborted).rejects.toThrow("not wanted any more");
      const after = await client.identity.update({ clientId, tags: { add: ["third"] } });
      if (after.version !== version + 1) return false; // a busy machine may take the CANCEL a turn later
      expect(after.tags.toSorted()).toEqual(["first", "third"]);
      return true;
    };
    await expect.poll(abortedBeforeItRan, { interval: 0, timeout: 10_000 }).toBe(true);
  });

  test("[E4] a key of one's own makes a call repeatable, and says when it is used for something else", async () => {
    const params = { clientIdentity: credential("alice") };
    const first = await client.identity.create(params, { key: "alice-1" });
    expect(await client.identity.create(params, { key: "alice-1" })).toEqual(first);
    const other = client.identity.create({ clientIdentity: credential("bob") }, { key: "alice-1" });
    // The home of identity.create is the handle: another handle knows nothing of the key.
    expect((await other).handle).toBe("bob");
    const changed = client.identity.create({ ...params, tags: ["x"] }, { key: "alice-1" });
    await expect(changed).rejects.toMatchObject({ reason: "KEY_REUSED", code: "ALREADY_EXISTS" });
    const error: unknown = await client.identity.create(params).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AegisError);
    expect(error).toMatchObject({ reason: "HANDLE_TAKEN", method: "identity.create", retryable: false });
  });
});
