/**
 * Between the options of a monitor, or the settings of a channel, and what stands in the fields of its form. Pure.
 *
 * A draft is what is typed, lawful or not, so that nothing typed is ever lost; `null` is a field left alone, whose default
 * holds. Reading a draft gives the options, in which what was left alone does not appear, and what is wrong, by place.
 */
import { count } from "@/lib/units";
import { type Field, type Json, type Node, type NodeOf, nodeOf, type Schema } from "./schema";

export type Draft =
  | null
  | boolean
  | string
  | { items: Item[] }
  | { pairs: Pair[] }
  | { fields: Record<string, Draft>; others: Record<string, Json> }
  | { member: number; draft: Draft };
/** `id` keeps a row's identity while others come and go. */
export type Item = { id: number; draft: Draft };
export type Pair = { id: number; key: string; draft: Draft };
export type DraftOf<K extends string> = Extract<Draft, Record<K, unknown>>;
/** Place (`endpoints.0.url`) to what is wrong there. */
export type Faults = Map<string, string>;

/** How the hub writes a secret value that is set; written back so, it stays as it is. */
export const KEPT = "***";
/** The `member` of a union that stands for null. */
export const NONE = -1;

let lastId = 0;
export function item(draft: Draft): Item {
  lastId += 1;
  return { id: lastId, draft };
}
export function pair(key: string, draft: Draft): Pair {
  lastId += 1;
  return { id: lastId, key, draft };
}

export function isNone(draft: Draft): boolean {
  return typeof draft === "object" && draft !== null && "member" in draft && draft.member === NONE;
}

/** The draft of a field that nobody has touched. */
export function blank(node: Node, required: boolean): Draft {
  switch (node.kind) {
    case "group":
      return required && !node.nullable ? draftOf(node, {}) : null;
    case "list":
      return required ? { items: atLeastOne(node) } : null;
    case "choice":
      return required && node.values.length === 1 ? JSON.stringify(node.values[0]) : null;
    case "tuple":
      return required ? { items: node.items.map((each) => item(blank(each(), true))) } : null;
    case "map":
      return required ? { pairs: [] } : null;
    default:
      return null;
  }
}

/** A list that must not be empty begins with one row to fill in. */
function atLeastOne(node: NodeOf<"list">): Item[] {
  return node.fewest > 0 ? [item(blank(node.item(), true))] : [];
}

export function draftOfFields(fields: readonly Field[], options: Record<string, Json>): DraftOf<"fields"> {
  const others = { ...options };
  const drafts: Record<string, Draft> = {};
  for (const { key, node, required } of fields) {
    const value = options[key];
    drafts[key] = value === undefined ? blank(node, required) : draftOf(node, value);
    delete others[key];
  }
  return { fields: drafts, others };
}

/** What stands in the fields for a value. A value of a wrong kind stands there as text, to be mended. */
export function draftOf(node: Node, value: Json): Draft {
  if (value === null && node.nullable)
    return node.fallback === null || node.fallback === undefined ? null : { member: NONE, draft: null };
  const object = typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  switch (node.kind) {
    case "switch":
      return typeof value === "boolean" ? value : null;
    case "choice":
      return JSON.stringify(value);
    case "list":
      if (Array.isArray(value)) {
        const each = node.item();
        return { items: value.map((one) => item(draftOf(each, one))) };
      }
      break;
    case "tuple":
      if (Array.isArray(value))
        return { items: node.items.map((each, index) => item(draftOf(each(), value[index] ?? null))) };
      break;
    case "map":
      if (object) {
        const each = node.value();
        return { pairs: Object.entries(object).map(([key, one]) => pair(key, draftOf(each, one))) };
      }
      break;
    case "group":
      if (object) {
        const { [node.tag?.key ?? ""]: _tag, ...rest } = object;
        return draftOfFields(node.fields(), node.tag ? rest : object);
      }
      break;
    case "union": {
      const member = memberFor(node, value);
      const found = node.members[member];
      if (found) return { member, draft: draftOf(found(), value) };
      break;
    }
    case "json":
      return JSON.stringify(value, null, 2);
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

function memberFor(node: NodeOf<"union">, value: Json): number {
  return node.members.findIndex((each) => {
    const member = each();
    switch (member.kind) {
      case "group": {
        if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
        return member.tag === null || value[member.tag.key] === member.tag.value;
      }
      case "list":
      case "tuple":
        return Array.isArray(value);
      case "map":
        return typeof value === "object" && !Array.isArray(value);
      case "number":
        return typeof value === "number" && (!member.whole || Number.isInteger(value));
      case "switch":
        return typeof value === "boolean";
      case "choice":
        return member.values.includes(value);
      case "text":
        return typeof value === "string";
      default:
        return true;
    }
  });
}

/** The options that the fields hold; only lawful ones where `faults` is empty. */
export function optionsOf(
  fields: readonly Field[],
  draft: DraftOf<"fields">,
  place = "",
): { options: Record<string, Json>; faults: Faults } {
  const faults: Faults = new Map();
  return { options: read(fields, draft, place, faults), faults };
}

function read(fields: readonly Field[], draft: DraftOf<"fields">, place: string, faults: Faults) {
  const options: Record<string, Json> = {};
  for (const { key, node, required } of fields) {
    const at = place ? `${place}.${key}` : key;
    const value = jsonOf(node, draft.fields[key] ?? null, at, faults);
    if (value !== undefined) options[key] = value;
    else if (required && !faults.has(at)) faults.set(at, "Needed");
  }
  return { ...options, ...draft.others };
}

function jsonOf(node: Node, draft: Draft, at: string, faults: Faults): Json | undefined {
  if (draft === null) return undefined;
  const wrong = (what: string) => {
    faults.set(at, what);
    return undefined;
  };
  if (typeof draft === "boolean") return draft;
  if (typeof draft === "string") return scalarOf(node, draft, wrong);
  if ("member" in draft) {
    if (draft.member === NONE) return null;
    const found = node.kind === "union" ? node.members[draft.member]?.() : undefined;
    return found ? (jsonOf(found, draft.draft, at, faults) ?? wrong("Needed")) : undefined;
  }
  if ("items" in draft) {
    if (node.kind !== "list" && node.kind !== "tuple") return undefined;
    if (node.kind === "list" && draft.items.length < node.fewest)
      return wrong(
        node.fewest === 1 ? "At least one is needed" : `At least ${count(node.fewest)} are needed`,
      );
    if (node.kind === "list" && node.most !== null && draft.items.length > node.most)
      return wrong(`At most ${count(node.most)} fit`);
    return draft.items.flatMap((each, index) => {
      const inner = node.kind === "list" ? node.item() : node.items[index]?.();
      if (inner === undefined) return [];
      const value = jsonOf(inner, each.draft, `${at}.${index}`, faults);
      if (value === undefined && !faults.has(`${at}.${index}`))
        faults.set(`${at}.${index}`, "Needed, or remove the row");
      return value === undefined ? [] : [value];
    });
  }
  if ("pairs" in draft) return node.kind === "map" ? mapOf(node.value(), draft.pairs, at, faults) : undefined;
  if (node.kind !== "group") return undefined;
  const options = read(node.fields(), draft, at, faults);
  return node.tag ? { [node.tag.key]: node.tag.value, ...options } : options;
}

function mapOf(node: Node, pairs: readonly Pair[], at: string, faults: Faults): Json {
  const map: Record<string, Json> = {};
  pairs.forEach(({ key, draft }, index) => {
    const value = jsonOf(node, draft, `${at}.${index}`, faults);
    const name = key.trim();
    if (name === "") faults.set(`${at}.${index}`, "A name is needed, or remove the row");
    else if (name in map) faults.set(`${at}.${index}`, `${name} is there twice`);
    // A text may be empty where it has a name of its own.
    else if (value === undefined && node.kind === "text") map[name] = "";
    else if (value === undefined) faults.set(`${at}.${index}`, "A value is needed");
    else map[name] = value;
  });
  return map;
}

const DURATION = /^(\d+(\.\d+)?(ms|s|m|h|d))+$/;

function scalarOf(node: Node, typed: string, wrong: (what: string) => undefined): Json | undefined {
  if (node.kind === "text") {
    if (typed === "") return undefined;
    // Also where no secret is expected: a URL with a password within is kept from readers as well.
    if (typed === KEPT) return KEPT;
    if (node.duration && !DURATION.test(typed.trim())) return wrong("A duration such as 15s, 5m or 1h");
    if (node.duration) return typed.trim();
    const length = [...typed].length;
    if (length < node.shortest) return wrong(`At least ${count(node.shortest)} characters`);
    if (node.longest !== null && length > node.longest)
      return wrong(`At most ${count(node.longest)} characters`);
    if (node.pattern !== null && !matches(node.pattern, typed)) return wrong(`Must match ${node.pattern}`);
    return typed;
  }
  if (node.kind === "number") {
    const trimmed = typed.trim();
    if (trimmed === "") return undefined;
    const value = Number(trimmed);
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) || !Number.isFinite(value))
      return wrong("A number is expected");
    if (node.whole && !Number.isInteger(value)) return wrong("A whole number is expected");
    const { least, most, above, below } = node.bounds;
    if (least !== null && (value < least || (above && value === least)))
      return wrong(above ? `More than ${count(least)}` : `At least ${count(least)}`);
    if (most !== null && (value > most || (below && value === most)))
      return wrong(below ? `Less than ${count(most)}` : `At most ${count(most)}`);
    return value;
  }
  if (node.kind === "choice") {
    const found = node.values.find((value) => JSON.stringify(value) === typed);
    return found === undefined ? wrong("Choose one of the list") : found;
  }
  if (typed.trim() === "") return undefined;
  try {
    return JSON.parse(typed) as Json;
  } catch {
    return wrong("This is not JSON");
  }
}

/** Agent or hub is the judge: a pattern that a browser does not understand is left to it. */
function matches(pattern: string, typed: string): boolean {
  try {
    return new RegExp(pattern, "u").test(typed);
  } catch {
    return true;
  }
}

/** Options of a type that this agent does not have (any more): one field of JSON. */
export const UNKNOWN_KIND: Field[] = [
  { key: "options", required: false, node: { ...nodeOf({} as Schema, {}), title: "Options, as JSON" } },
];
