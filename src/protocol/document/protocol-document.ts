// docs/PROTOCOL.md from its template: everything that a schema or a catalogue knows is put in here, so that
// the page can't say otherwise. Pure.
import type { z } from "zod";
import { closeCodes } from "../close-codes.ts";
import { fieldMeanings } from "../field-meanings.ts";
import { commonReasons, methods, type MethodEntry } from "../methods.ts";
import { reasons, type Reason } from "../reasons.ts";
import { settingMeanings, settings } from "../schemas/application.ts";
import { eventMeanings, groupEvents, inboxEvents } from "../schemas/events.ts";
import { identityCauseMeanings } from "../schemas/identity.ts";
import { claimFailures, rejections } from "../schemas/key-pool.ts";
import { errorRecord, member, position } from "../schemas/primitives.ts";
import { recordedSteps, type RecordedFrame } from "./recorded-frames.ts";
import { fieldsOf, notation, titledMaps } from "./type-notation.ts";

/** What the page shows and this room does not know. */
export interface DocumentSources {
  readonly frames: readonly RecordedFrame[];
  /** Values of `details.rule`, each with the section where it stands and what it asks for. */
  readonly rules: Readonly<Record<string, { readonly section: string; readonly asks: string }>>;
}

/** Every `{{name}}` of the template is replaced by the section of that name. */
export function protocolDocument(template: string, sources: DocumentSources): string {
  const sections = sectionsOf(sources);
  const unused = new Set(Object.keys(sections));
  const page = template.replaceAll(/\{\{([A-Za-z.]+)\}\}/g, (_whole, name: string) => {
    const section = sections[name];
    if (section === undefined) throw new Error(`the template asks for ${name}, which there is not`);
    unused.delete(name);
    return section;
  });
  if (unused.size > 0) throw new Error(`the template leaves out ${[...unused].join(", ")}`);
  return page;
}

function sectionsOf({ frames, rules }: DocumentSources): Record<string, string> {
  const sections: Record<string, string> = {
    closeCodes: closeCodeTable(),
    maps: mapTables(),
    settings: settingTable(),
    groupEvents: eventTables(groupEvents),
    inboxEvents: eventTables(inboxEvents),
    identityCauses: meaningTable("cause", identityCauseMeanings),
    rejections: meaningTable("reason", rejections),
    claimFailures: meaningTable("reason", claimFailures),
    commonReasons: commonReasons.map(code).join(", "),
    reasons: reasonTable(),
    rules: ruleTable(rules),
    steps: recordedSteps(frames),
  };
  for (const [name, entry] of Object.entries(methods)) {
    const [namespace] = name.split(".") as [string, string];
    const key = `methods.${namespace}`;
    sections[key] = [sections[key], methodSection(name, entry)].filter((part) => part !== undefined).join("\n\n");
  }
  return sections;
}

const scopeNotes: Record<MethodEntry["scope"], string> = {
  operator: "operator's key",
  application: "operator's key, or any application key for its own application",
  identity: "scope `identity`",
  keyPool: "scope `keyPool`",
  group: "scope `group`",
  stream: "any application key; a group's log needs scope `group`, an inbox scope `identity`",
};

function methodSection(name: string, entry: MethodEntry): string {
  const effect = entry.mutates ? "changes state, takes `meta.key`" : "changes nothing";
  const own = entry.reasons.length === 0 ? "" : `\n\n✗ ${entry.reasons.map(code).join(", ")}`;
  return [
    `### ${name}`,
    entry.summary,
    `*${scopeNotes[entry.scope]} · ${effect}*`,
    fieldTable(name, "parameter", entry.params) ?? "No parameters.",
    fieldTable(name, "result", entry.result) ?? resultNote(entry.result),
  ]
    .join("\n\n")
    .concat(own);
}

/** A result that is a type of its own, or nothing. */
function resultNote(result: z.ZodType): string {
  const shown = notation(result);
  return shown === "{}" ? "Result: `{}`." : `Result: \`${shown}\`.`;
}

function fieldTable(context: string, heading: string, schema: z.core.$ZodType): string | undefined {
  if (heading === "result" && notation(schema) !== notation(schema, true)) return undefined;
  const variants = variantsOf(schema).map((variant) => fieldsOf(variant));
  const all = new Map(variants.flat().map((field) => [field.name, field]));
  if (all.size === 0) return undefined;
  const rows = [...all.values()].map((field) => {
    const types = new Set(
      variants.flatMap((fields) => fields.filter(({ name }) => name === field.name).map(shownType)),
    );
    const fallback = field.fallback === undefined ? (field.optional ? "optional" : "") : `\`${field.fallback}\``;
    return [`\`${field.name}\``, [...types].join(" or "), fallback, meaningOf(context, heading, field.name)];
  });
  return table([heading, "type", "default", "meaning"], rows);
}

function shownType(field: { readonly schema: z.core.$ZodType }): string {
  return `\`${notation(field.schema).replaceAll("\\|", "|")}\``.replaceAll("|", "\\|");
}

/** The alternatives of a union of maps, else the schema itself. */
function variantsOf(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === "pipe") return variantsOf(def.out);
  return def.type === "union" ? def.options : [schema];
}

function meaningOf(context: string, heading: string, field: string): string {
  const settingMeaning = (settingMeanings as Readonly<Record<string, string | undefined>>)[field];
  const meaning =
    fieldMeanings[`${context} ${heading} ${field}`] ??
    fieldMeanings[`${context} ${field}`] ??
    fieldMeanings[field] ??
    settingMeaning;
  if (meaning === undefined) throw new Error(`nobody says what ${field} of ${context} means`);
  return meaning;
}

function mapTables(): string {
  const found = new Map<string, z.core.$ZodType>();
  for (const schema of [position, member, errorRecord]) titledMaps(schema, found);
  for (const { params, result } of Object.values(methods)) {
    titledMaps(params, found);
    titledMaps(result, found);
  }
  // These have sections of their own.
  for (const title of ["settings", "settingsChange"]) found.delete(title);
  return [...found]
    .filter(([title]) => !(title in settingMeanings))
    .map(([title, schema]) => `**${title}**\n\n${fieldTable(title, "entry", schema) ?? ""}`)
    .join("\n\n");
}

function settingTable(): string {
  const rows = fieldsOf(settings).map(({ name, schema, fallback }) => {
    const meaning = settingMeanings[name as keyof typeof settingMeanings];
    const shown = `\`${notation(schema, true).replaceAll("\\|", "|")}\``.replaceAll("|", "\\|");
    return [`\`${name}\``, shown, `\`${fallback ?? ""}\``, meaning];
  });
  return table(["setting", "type", "default", "meaning"], rows);
}

function eventTables(events: Readonly<Record<string, z.core.$ZodType>>): string {
  return Object.entries(events)
    .map(([type, schema]) => {
      const meaning = eventMeanings[type as keyof typeof eventMeanings];
      return `**${type}** — ${meaning}\n\n${fieldTable(type, "entry", schema) ?? "An empty map."}`;
    })
    .join("\n\n");
}

function closeCodeTable(): string {
  const rows = Object.values(closeCodes).map(({ code: number, name, reconnect, meaning }) => [
    String(number),
    name,
    reconnect ? "yes" : "no",
    meaning,
  ]);
  return table(["code", "name", "reconnect", "meaning"], rows);
}

function reasonTable(): string {
  const rows = (Object.keys(reasons) as Reason[]).map((reason) => {
    const { code: status, retryable, message, remedy } = reasons[reason];
    return [code(reason), status, retryable ? "yes" : "no", `${message}. ${remedy}`];
  });
  return table(["reason", "code", "retryable", "what happened, and what to do"], rows);
}

function ruleTable(rules: DocumentSources["rules"]): string {
  const rows = Object.entries(rules).map(([name, { section, asks }]) => [code(name), section, asks]);
  return table(["rule", "section", "what it asks for"], rows);
}

function meaningTable(heading: string, meanings: Readonly<Record<string, string>>): string {
  return table(
    [heading, "meaning"],
    Object.entries(meanings).map(([name, meaning]) => [code(name), meaning]),
  );
}

function code(text: string): string {
  return `\`${text}\``;
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(headings), line(headings.map(() => "---")), ...rows.map(line)].join("\n");
}
