// Schemas as the notation of docs/PROTOCOL.md: `{clientId: uuid, tags: [tag]}`. Pure; knows zod's inner
// forms so that nothing is said of a type that its schema does not say.
import { z } from "zod";

/** The title by which a schema is known on the page, if it has one. */
export function titleOf(schema: z.core.$ZodType): string | undefined {
  return z.globalRegistry.get(schema)?.title;
}

export interface Field {
  readonly name: string;
  readonly schema: z.core.$ZodType;
  readonly optional: boolean;
  /** The default in JSON-like notation. */
  readonly fallback: string | undefined;
}

/** Values of these have a table of their own; those of others are written out. */
const EXPLAINED_ENUMS: ReadonlySet<string> = new Set(["identityCause", "rejection", "claimFailure", "scope"]);

/** The notation of a type; `open` writes a titled map out instead of naming it. */
export function notation(schema: z.core.$ZodType, open = false): string {
  const title = titleOf(schema);
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const writtenOut = def.type === "enum" ? !EXPLAINED_ENUMS.has(title ?? "") : open && isMap(schema);
  if (title !== undefined && !writtenOut) return title;
  switch (def.type) {
    case "pipe":
      return notation(innerOf(def), open);
    case "object":
      return `{${fieldsOf(schema).map(fieldNotation).join(", ")}}`;
    case "array":
      return `[${notation(def.element)}]${boundsOf(schema)}`;
    case "tuple":
      return `[${def.items.map((item) => notation(item)).join(", ")}]`;
    case "union":
      return def.options.map((option) => notation(option)).join(" \\| ");
    case "enum":
      return Object.values(def.entries).map(literal).join(" \\| ");
    case "literal":
      return def.values.map(literal).join(" \\| ");
    case "optional":
    case "default":
      return notation(def.innerType, open);
    case "nullable":
      return `${notation(def.innerType, open)} \\| nil`;
    case "record":
      return "map";
    case "unknown":
      return "any";
    case "string":
      return "string";
    case "number":
      return "int";
    default:
      throw new Error(`the page has no notation for ${def.type}`);
  }
}

/** The entries of a map, through what wraps it; of a union of maps, none. */
export function fieldsOf(schema: z.core.$ZodType): Field[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === "pipe") return fieldsOf(innerOf(def));
  if (def.type !== "object") return [];
  return Object.entries(def.shape).map(([name, field]) => {
    const wrapped = (field as z.core.$ZodTypes)._zod.def;
    const fallback = wrapped.type === "default" ? literal(wrapped.defaultValue) : undefined;
    return { name, schema: field, optional: wrapped.type === "optional" || fallback !== undefined, fallback };
  });
}

/** All maps with a title that a schema mentions, itself included. */
export function titledMaps(schema: z.core.$ZodType, found: Map<string, z.core.$ZodType>): void {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const title = titleOf(schema);
  if (title !== undefined && isMap(schema)) found.set(title, schema);
  switch (def.type) {
    case "pipe":
      titledMaps(innerOf(def), found);
      break;
    case "object":
      for (const field of fieldsOf(schema)) titledMaps(field.schema, found);
      break;
    case "array":
      titledMaps(def.element, found);
      break;
    case "tuple":
      for (const item of def.items) titledMaps(item, found);
      break;
    case "union":
      for (const option of def.options) titledMaps(option, found);
      break;
    case "optional":
    case "default":
    case "nullable":
      titledMaps(def.innerType, found);
      break;
    default:
  }
}

/** A map, or a union of maps. */
function isMap(schema: z.core.$ZodType): boolean {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === "pipe") return isMap(innerOf(def));
  return def.type === "object" || (def.type === "union" && def.options.every(isMap));
}

/** A pipe has the schema on one side and a conversion on the other. */
function innerOf(def: z.core.$ZodPipeDef): z.core.$ZodType {
  const first = (def.in as z.core.$ZodTypes)._zod.def.type;
  return first === "transform" ? def.out : def.in;
}

function fieldNotation({ name, schema, optional, fallback }: Field): string {
  const type = notation(schema);
  const mark = optional ? "?" : "";
  const shown = type === name ? `${name}${mark}` : `${name}${mark}: ${type}`;
  return fallback === undefined ? shown : `${shown} = ${fallback}`;
}

function boundsOf(schema: z.core.$ZodType): string {
  const bounds = (schema._zod.def.checks ?? []).map((check) => check._zod.def as z.core.$ZodCheckDef & Bound);
  const minimum = bounds.find(({ check }) => check === "min_length")?.minimum;
  const maximum = bounds.find(({ check }) => check === "max_length")?.maximum;
  if (minimum === undefined) return maximum === undefined ? "" : ` (≤ ${maximum})`;
  return maximum === undefined ? ` (≥ ${minimum})` : ` (${minimum}–${maximum})`;
}

interface Bound {
  readonly minimum?: number;
  readonly maximum?: number;
}

export function literal(value: unknown): string {
  if (value === null) return "nil";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const entries = Object.entries(value as Record<string, unknown>);
  return `{${entries.map(([name, item]) => `${name}: ${literal(item)}`).join(", ")}}`;
}
