/**
 * From the JSON Schema of a monitor's options, or a channel's settings, to what a form needs to know of each field. Pure.
 *
 * Invariants: every schema has a node; what a form cannot show is a node `json`, written as text. References are followed
 * when a node is asked for, never ahead, so that a schema may refer to itself.
 */
export type Schema = Record<string, unknown>;
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

type Words = {
  title: string | null;
  help: string | null;
  /** What holds where nothing is given; undefined: there is no default. */
  fallback: Json | undefined;
  /** Whether null may be given. */
  nullable: boolean;
};

export type Node = Words &
  (
    | {
        kind: "text";
        secret: boolean;
        duration: boolean;
        pattern: string | null;
        shortest: number;
        longest: number | null;
        example: string | null;
      }
    | { kind: "number"; whole: boolean; bounds: Bounds }
    | { kind: "choice"; values: Json[] }
    | { kind: "switch" }
    | { kind: "list"; item: () => Node; fewest: number; most: number | null }
    | { kind: "tuple"; items: (() => Node)[] }
    | { kind: "map"; value: () => Node }
    | { kind: "group"; fields: () => Field[]; tag: { key: string; value: Json } | null }
    | { kind: "union"; members: (() => Node)[]; names: string[]; tag: string | null }
    | { kind: "json" }
  );
export type NodeOf<K extends Node["kind"]> = Extract<Node, { kind: K }>;
export type Field = { key: string; required: boolean; node: Node };
export type Bounds = {
  least: number | null;
  most: number | null;
  /** Whether the bound itself is out of bounds. */
  above: boolean;
  below: boolean;
};

type Definitions = Record<string, Schema>;

/** The fields of a monitor's options. A kind that declares none has none. */
export function fieldsOf(root: Schema): Field[] {
  const node = nodeOf(root, (root.$defs ?? {}) as Definitions);
  return node.kind === "group" ? node.fields() : [];
}

export function nodeOf(given: Schema, definitions: Definitions): Node {
  const schema = followed(given, definitions);
  const { inner, nullable } = withoutNull(schema, definitions);
  const words: Words = {
    title: text(given.title) ?? (given.$ref ? null : text(inner.title)),
    help: text(given.description) ?? text(schema.description) ?? text(inner.description),
    fallback: "default" in given ? (given.default as Json) : (schema.default as Json | undefined),
    nullable,
  };
  const later = (each: Schema) => () => nodeOf(each, definitions);
  const members = (inner.anyOf ?? inner.oneOf) as Schema[] | undefined;
  if (members) {
    const tag = text((inner.discriminator as Schema | undefined)?.propertyName);
    const resolved = members.map((each) => followed(each, definitions));
    return {
      ...words,
      kind: "union",
      tag,
      names: resolved.map((each) => nameOf(each, tag)),
      members: resolved.map((each) => later(tag ? withoutTag(each, tag) : each)),
    };
  }
  if ("const" in inner) return { ...words, kind: "choice", values: [inner.const as Json] };
  if (Array.isArray(inner.enum)) return { ...words, kind: "choice", values: inner.enum as Json[] };
  switch (inner.type) {
    case "boolean":
      return { ...words, kind: "switch" };
    case "integer":
    case "number":
      return { ...words, kind: "number", whole: inner.type === "integer", bounds: boundsOf(inner) };
    case "string":
      return {
        ...words,
        kind: "text",
        secret: inner.format === "password",
        duration: inner.format === "duration",
        pattern: text(inner.pattern),
        shortest: number(inner.minLength) ?? 0,
        longest: number(inner.maxLength),
        example: Array.isArray(inner.examples) ? inner.examples.map(String).join(", ") : null,
      };
    case "array":
      if (Array.isArray(inner.prefixItems))
        return { ...words, kind: "tuple", items: (inner.prefixItems as Schema[]).map(later) };
      if (typeof inner.items !== "object" || inner.items === null) return { ...words, kind: "json" };
      return {
        ...words,
        kind: "list",
        item: later(inner.items as Schema),
        fewest: number(inner.minItems) ?? 0,
        most: number(inner.maxItems),
      };
    case "object":
      if (inner.properties) return { ...words, kind: "group", ...groupOf(inner, definitions) };
      if (typeof inner.additionalProperties === "object" && inner.additionalProperties !== null)
        return { ...words, kind: "map", value: later(inner.additionalProperties as Schema) };
      return { ...words, kind: "json" };
    default:
      return { ...words, kind: "json" };
  }
}

function groupOf(schema: Schema, definitions: Definitions) {
  const required = new Set((schema.required ?? []) as string[]);
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
  const tag = schema[TAG] as { key: string; value: Json } | undefined;
  return {
    tag: tag ?? null,
    fields: () =>
      properties
        .filter(([key]) => key !== tag?.key)
        .map(([key, each]) => ({ key, required: required.has(key), node: nodeOf(each, definitions) }))
        // What must be given stands first; otherwise in the order in which they are declared.
        .sort((a, b) => Number(b.required) - Number(a.required)),
  };
}

/** The word that tells a member of a union from its brothers: kept apart from its fields. */
const TAG = "x-twinwatch-tag";

function withoutTag(member: Schema, key: string): Schema {
  return { ...member, [TAG]: { key, value: tagOf(member, key) } };
}

function tagOf(member: Schema, key: string): Json {
  const property = (member.properties as Record<string, Schema> | undefined)?.[key];
  return ((property?.const ?? (property?.enum as Json[] | undefined)?.[0]) as Json | undefined) ?? null;
}

function nameOf(member: Schema, tag: string | null): string {
  if (tag) return String(tagOf(member, tag));
  return text(member.title) ?? NAMES[String(member.type)] ?? String(member.type ?? "value");
}

const NAMES: Record<string, string> = {
  string: "text",
  integer: "whole number",
  number: "number",
  boolean: "yes or no",
  array: "list",
  object: "group",
};

/** Through `$ref`s to the schema meant. What stands beside a `$ref` is said of this place and wins. */
function followed(schema: Schema, definitions: Definitions): Schema {
  let found = schema;
  for (let hops = 0; typeof found.$ref === "string" && hops < 8; hops += 1) {
    const { $ref, ...beside } = found;
    found = { ...(definitions[String($ref).split("/").at(-1) ?? ""] ?? {}), ...beside };
  }
  return found;
}

/** `X or null` as X that may be null. */
function withoutNull(schema: Schema, definitions: Definitions): { inner: Schema; nullable: boolean } {
  const members = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined;
  if (!members) {
    const types = schema.type;
    if (!Array.isArray(types)) return { inner: schema, nullable: false };
    const others = types.filter((each) => each !== "null");
    return { inner: { ...schema, type: others[0] }, nullable: others.length < types.length };
  }
  const others = members.filter((each) => followed(each, definitions).type !== "null");
  const nullable = others.length < members.length;
  const only = others[0];
  if (others.length !== 1 || only === undefined) {
    const { anyOf: _any, oneOf: _one, ...beside } = schema;
    return { inner: { ...beside, anyOf: others }, nullable };
  }
  const resolved = followed(only, definitions);
  // A union within: its own null, if it has one, is the same null.
  const within = withoutNull(resolved, definitions);
  return { inner: within.inner, nullable: nullable || within.nullable };
}

function boundsOf(schema: Schema): Bounds {
  const least = number(schema.minimum);
  const most = number(schema.maximum);
  return {
    least: least ?? number(schema.exclusiveMinimum),
    most: most ?? number(schema.exclusiveMaximum),
    above: least === null && number(schema.exclusiveMinimum) !== null,
    below: most === null && number(schema.exclusiveMaximum) !== null,
  };
}

/** What a field is called: its title, else its key in words. */
export function labelOf(key: string, node: Node): string {
  if (node.title) return node.title;
  const words = key.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
