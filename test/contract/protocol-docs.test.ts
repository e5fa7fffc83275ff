import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import { protocolDocument } from "../../src/protocol/document/protocol-document.ts";
import { readRecordedFrames } from "../../src/protocol/document/recorded-frames.ts";
import { fieldMeanings } from "../../src/protocol/field-meanings.ts";
import { methods } from "../../src/protocol/methods.ts";
import { decodeClientFrames, decodeServerFrames } from "../../src/protocol/parse-frames.ts";
import { reasons } from "../../src/protocol/reasons.ts";

const docs = path.resolve(import.meta.dirname, "../../docs");
const pagePath = path.join(docs, "PROTOCOL.md");
const framesPath = path.join(docs, "protocol-frames.json");

const frames = existsSync(framesPath) ? readRecordedFrames(readFileSync(framesPath, "utf8")) : [];
const page = `${protocolDocument(readFileSync(path.join(docs, "protocol.template.md"), "utf8"), frames).trim()}\n`;

describe("docs/PROTOCOL.md", () => {
  test("is what the schemas say (AEGIS_UPDATE_DOCS=1 writes it anew)", () => {
    if (process.env["AEGIS_UPDATE_DOCS"] === "1") writeFileSync(pagePath, page);
    expect(existsSync(pagePath) ? readFileSync(pagePath, "utf8") : "").toBe(page);
  });

  test("has every method and every reason", () => {
    for (const name of Object.keys(methods)) expect(page).toContain(`### ${name}\n`);
    for (const reason of Object.keys(reasons)) expect(page).toContain(`| \`${reason}\` |`);
    expect(page).not.toMatch(/undefined|\[object|\{\{/);
  });

  test("says of no field that is not there", () => {
    const rows = page.split("\n");
    const left = Object.entries(fieldMeanings).filter(([key, meaning]) => {
      const field = key.split(" ").at(-1) ?? "";
      return !rows.some((row) => row.startsWith(`| \`${field}\` |`) && row.endsWith(`| ${meaning} |`));
    });
    expect(left).toEqual([]);
  });

  test("shows frames that are frames", () => {
    for (const { hex, from, note } of frames) {
      const bytes = new Uint8Array(Buffer.from(hex, "hex"));
      expect(Array.isArray(decode(bytes)), note).toBe(true);
      expect((from === "client" ? decodeClientFrames(bytes) : decodeServerFrames(bytes)).ok, note).toBe(true);
    }
  });
});
