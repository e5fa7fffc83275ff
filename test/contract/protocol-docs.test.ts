import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { RULES } from "../../src/mls/rules.ts";
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

/** Rules that decoders name. */
const decoderRules = ["MALFORMED", "EXTENSION_REPEATED", "APPLICATION_IN_PUBLIC", "SENDER_CONTENT"];

/** Rules that services and decoders judge, beside those of the follower. */
const serviceRules = {
  MALFORMED: { section: "as named", asks: "the bytes are one whole structure and nothing after it" },
  EXTENSION_REPEATED: { section: "13.4", asks: "no extension type stands twice in a list" },
  APPLICATION_IN_PUBLIC: { section: "6.2", asks: "application data are never in a PublicMessage" },
  SENDER_CONTENT: { section: "6", asks: "a sender of that type may send content of that type" },
  CONTENT_TYPE: { section: "6", asks: "the message holds what the method is for" },
  WIRE_FORMAT: {
    section: "6",
    asks: "application data travel in PrivateMessages, handshakes of `full` in PublicMessages",
  },
  CIPHERSUITE: { section: "12.4.3", asks: "the application allows the group's ciphersuite" },
  GROUP_ID: { section: "§2 here", asks: "a group id has 1 to 255 bytes" },
  TREE_MISSING: { section: "12.4.3.3", asks: "`full` tracking begins with the tree" },
  LEAF_CLIENT: {
    section: "M5 here",
    asks: "a leaf that enters or changes carries a registered client's current identity",
  },
  ONE_LEAF_A_CLIENT: { section: "M5 here", asks: "a client has one leaf" },
  REINIT_GROUP_ID: { section: "11.2", asks: "a ReInit announces an id that no group has" },
  REINIT_TERMS: { section: "11.2", asks: "a successor is of the version and ciphersuite that the ReInit announced" },
  RESYNC_CLIENT: { section: "12.4.3.2", asks: "who comes back removes its own former leaf" },
};

const frames = existsSync(framesPath) ? readRecordedFrames(readFileSync(framesPath, "utf8")) : [];
const template = readFileSync(path.join(docs, "protocol.template.md"), "utf8");
const page = `${protocolDocument(template, { frames, rules: { ...RULES, ...serviceRules } }).trim()}\n`;

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

  test("has no reason that nobody gives", () => {
    const src = path.resolve(docs, "../src");
    const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter(
      (file) => file.endsWith(".ts") && !file.includes("catalogue"),
    );
    const sources = files.map((file) => readFileSync(path.join(src, file), "utf8")).join("\n");
    expect(Object.keys(reasons).filter((reason) => !sources.includes(`"${reason}"`))).toEqual([]);
  });

  test("says of no field that is not there", () => {
    const rows = page.split("\n");
    const left = Object.entries(fieldMeanings).filter(([key, meaning]) => {
      const field = key.split(" ").at(-1) ?? "";
      return !rows.some((row) => row.startsWith(`| \`${field}\` |`) && row.endsWith(`| ${meaning} |`));
    });
    expect(left).toEqual([]);
  });

  test("has every rule that a service or the MLS room names", () => {
    const services = path.resolve(docs, "../src/services");
    const sources = readdirSync(services).map((file) => readFileSync(path.join(services, file), "utf8"));
    const named = sources.flatMap((source) =>
      [...source.matchAll(/broken\(\s*\w+(?:"?),\s*"([A-Z_]+)"|broken\(\s*"[A-Z_]+",\s*"([A-Z_]+)"/g)].map(
        ([, first, second]) => first ?? second ?? "",
      ),
    );
    expect(named.length).toBeGreaterThan(15);
    for (const rule of named) expect(page, rule).toContain(`| \`${rule}\` |`);
    for (const rule of Object.keys(serviceRules)) expect(named.concat(decoderRules), rule).toContain(rule);
  });

  test("shows frames that are frames", () => {
    for (const { hex, from, note } of frames) {
      const bytes = new Uint8Array(Buffer.from(hex, "hex"));
      expect(Array.isArray(decode(bytes)), note).toBe(true);
      expect((from === "client" ? decodeClientFrames(bytes) : decodeServerFrames(bytes)).ok, note).toBe(true);
    }
  });
});
