// What the SDK leaves behind when something of it ends early: nothing that rejects, waits or is held at the server.
import { describe, expect } from "vitest";
import { connect } from "../../src/client/client.ts";
import { test } from "../support/scripted-client.ts";

describe("connect", () => {
  test("[C2] options that can't be used are refused at once, and nothing rejects afterwards", async ({ server }) => {
    const later: unknown[] = [];
    const listener = (reason: unknown): number => later.push(reason);
    process.on("unhandledRejection", listener);
    const wrong = [
      { url: server.url, token: "aegis_k_s\n" },
      { url: server.url, token: "aegis_k_s " },
      { url: `${server.url}/#x`, token: "aegis_k_s" },
    ];
    for (const options of wrong) {
      await expect(connect({ ...options, connectTimeoutMs: 20 })).rejects.toThrow(TypeError);
    }
    const begun = performance.now();
    await expect.poll(() => performance.now() - begun > 60).toBe(true);
    process.off("unhandledRejection", listener);
    expect(later).toEqual([]);
    expect(server.upgrades).toBe(0);
  });
});

describe("close", () => {
  test("resolves for each who asks", async ({ connected }) => {
    const client = await connected();
    await Promise.all([client.close(), client.close()]);
    await client.close();
  });
});
