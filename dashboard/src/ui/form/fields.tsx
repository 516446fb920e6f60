"use client";

import { KeyRound } from "lucide-react";
import { useId, useState } from "react";
import { classes } from "@/lib/classes";
import { Button } from "@/ui/button";
import { BOX } from "@/ui/field";
import { GroupField, ListField, UnionField } from "./compound";
import { type Draft, type Faults, isNone, KEPT, NONE } from "./draft";
import { describedBy, Frame, idOf } from "./frame";
import { MapField, TupleField } from "./rows";
import type { Json, Node, NodeOf } from "./schema";

export type FieldProps<N extends Node = Node> = {
  place: string;
  label: string;
  node: N;
  required: boolean;
  draft: Draft;
  onChange: (draft: Draft) => void;
  faults: Faults;
  /** Without a label of its own to be seen: a row of a list. */
  bare?: boolean;
};

/** The field of any node. */
export function NodeField(props: FieldProps): React.ReactNode {
  const { node, draft, onChange, label } = props;
  // Null is more than nothing given: it takes a default away.
  const nullMeans = node.nullable && node.fallback !== null && node.fallback !== undefined;
  if (!nullMeans || node.kind === "union") return <ValueField {...props} />;
  const none = isNone(draft);
  return (
    <div className="flex flex-col gap-1.5">
      {!none && <ValueField {...props} />}
      <label className="flex items-center gap-2.5 text-sm text-ink-2">
        <input
          type="checkbox"
          checked={none}
          onChange={(event) => onChange(event.target.checked ? { member: NONE, draft: null } : null)}
          className="size-4 shrink-0 accent-(--accent)"
        />
        {label}: none at all
      </label>
    </div>
  );
}

function ValueField(props: FieldProps): React.ReactNode {
  const { node, draft } = props;
  switch (node.kind) {
    case "switch":
      return <SwitchField {...props} node={node} />;
    case "choice":
      return <ChoiceField {...props} node={node} />;
    case "list":
      return typeof draft === "string" ? <JsonField {...props} /> : <ListField {...props} node={node} />;
    case "tuple":
      return typeof draft === "string" ? <JsonField {...props} /> : <TupleField {...props} node={node} />;
    case "map":
      return typeof draft === "string" ? <JsonField {...props} /> : <MapField {...props} node={node} />;
    case "group":
      return typeof draft === "string" ? <JsonField {...props} /> : <GroupField {...props} node={node} />;
    case "union":
      return <UnionField {...props} node={node} />;
    case "json":
      return <JsonField {...props} />;
    default:
      return node.kind === "text" && node.secret ? (
        <SecretField {...props} node={node} />
      ) : (
        <LineField {...props} node={node} />
      );
  }
}

/** The default of a field, for where nothing stands yet. */
export function fallbackWords(fallback: Json | undefined): string {
  if (fallback === undefined || fallback === null || fallback === "") return "";
  if (typeof fallback === "boolean") return fallback ? "yes" : "no";
  if (Array.isArray(fallback)) return fallback.map(fallbackWords).filter(Boolean).join(", ");
  return typeof fallback === "object" ? "" : String(fallback);
}

function LineField({
  place,
  label,
  node,
  required,
  draft,
  onChange,
  faults,
  bare,
}: FieldProps<NodeOf<"text"> | NodeOf<"number">>) {
  const fault = faults.get(place);
  const fallback = fallbackWords(node.fallback);
  const example = node.kind === "text" ? node.example : null;
  const value = typeof draft === "string" ? draft : "";
  const kept = value === KEPT;
  const help = kept ? "A secret within is not shown. Left as it is, it stays as it is." : node.help;
  const input = (
    <input
      id={idOf(place)}
      type="text"
      inputMode={node.kind === "number" ? (node.whole ? "numeric" : "decimal") : undefined}
      autoComplete="off"
      autoCapitalize="none"
      spellCheck={false}
      aria-label={bare ? label : undefined}
      aria-required={required || undefined}
      aria-invalid={fault ? true : undefined}
      aria-describedby={bare ? undefined : describedBy(place, help, fault)}
      placeholder={fallback || (example ? `such as ${example}` : undefined)}
      className={classes(BOX, "h-9 px-3")}
      value={value}
      onChange={(event) => onChange(event.target.value === "" ? null : event.target.value)}
    />
  );
  return bare ? (
    input
  ) : (
    <Frame place={place} label={label} help={help} fault={fault} required={required}>
      {input}
    </Frame>
  );
}

/** A secret that is set is never shown; what is typed replaces it. */
function SecretField({ place, label, node, required, draft, onChange, faults, bare }: FieldProps) {
  const [had] = useState(draft === KEPT);
  const fault = faults.get(place);
  const kept = draft === KEPT;
  const value = typeof draft === "string" && !kept ? draft : "";
  const input = (
    <div className="flex gap-2">
      <div className="relative min-w-0 flex-1">
        <KeyRound aria-hidden className="pointer-events-none absolute top-2.5 left-2.5 size-4 text-ink-3" />
        <input
          id={idOf(place)}
          type="password"
          autoComplete="new-password"
          aria-label={bare ? label : undefined}
          aria-invalid={fault ? true : undefined}
          aria-describedby={bare ? undefined : describedBy(place, node.help, fault)}
          placeholder={kept ? "unchanged" : had && draft === null ? "will be removed" : "not set"}
          className={classes(BOX, "h-9 pr-3 pl-8.5")}
          value={value}
          onChange={(event) => {
            const typed = event.target.value;
            onChange(typed === "" ? (had ? KEPT : null) : typed);
          }}
        />
      </div>
      {had &&
        (kept ? (
          !required && (
            <Button className="h-9" onClick={() => onChange(null)} aria-label={`Remove ${label}`}>
              Remove
            </Button>
          )
        ) : (
          <Button className="h-9" onClick={() => onChange(KEPT)} aria-label={`Keep the old ${label}`}>
            Keep the old
          </Button>
        ))}
    </div>
  );
  return bare ? (
    input
  ) : (
    <Frame place={place} label={label} help={node.help} fault={fault} required={required}>
      {input}
    </Frame>
  );
}

function SwitchField({ place, label, node, draft, onChange, faults, bare }: FieldProps<NodeOf<"switch">>) {
  const fault = faults.get(place);
  const on = typeof draft === "boolean" ? draft : node.fallback === true;
  return (
    <div data-field={place}>
      <label className="flex min-h-6 items-start gap-2.5 text-sm font-medium">
        <input
          id={idOf(place)}
          type="checkbox"
          checked={on}
          aria-describedby={describedBy(place, bare ? null : node.help, fault)}
          onChange={(event) => onChange(event.target.checked)}
          className="mt-0.5 size-4 shrink-0 accent-(--accent)"
        />
        {label}
      </label>
      {!bare && node.help && (
        <p id={`${idOf(place)}-help`} className="mt-0.5 pl-6.5 text-xs text-pretty text-ink-3">
          {node.help}
        </p>
      )}
    </div>
  );
}

function ChoiceField({
  place,
  label,
  node,
  required,
  draft,
  onChange,
  faults,
  bare,
}: FieldProps<NodeOf<"choice">>) {
  const fault = faults.get(place);
  const value = typeof draft === "string" ? draft : "";
  const known = value === "" || node.values.some((each) => JSON.stringify(each) === value);
  const fallback = fallbackWords(node.fallback);
  const select = (
    <Select
      id={idOf(place)}
      label={bare ? label : undefined}
      invalid={fault !== undefined}
      describedBy={bare ? undefined : describedBy(place, node.help, fault)}
      value={value}
      onChange={(next) => onChange(next === "" ? null : next)}
      options={[
        ...(required ? [] : [{ value: "", label: fallback ? `Default: ${fallback}` : "Not set" }]),
        ...(required && value === "" ? [{ value: "", label: "Choose one" }] : []),
        ...node.values.map((each) => ({ value: JSON.stringify(each), label: String(each) })),
        ...(known ? [] : [{ value, label: `${value} (not known)` }]),
      ]}
    />
  );
  return bare ? (
    select
  ) : (
    <Frame place={place} label={label} help={node.help} fault={fault} required={required}>
      {select}
    </Frame>
  );
}

export function Select({
  id,
  label,
  value,
  onChange,
  options,
  invalid = false,
  describedBy: described,
}: {
  id?: string;
  label?: string;
  value: string;
  onChange: (value: string) => void;
  options: { value: string; label: string }[];
  invalid?: boolean;
  describedBy?: string;
}) {
  const own = useId();
  return (
    <select
      id={id ?? own}
      aria-label={label}
      aria-invalid={invalid || undefined}
      aria-describedby={described}
      className={classes(BOX, "h-9 px-2.5")}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    >
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  );
}

/** What no form can show, and what is of a wrong kind: as it is written. */
function JsonField({ place, label, node, required, draft, onChange, faults }: FieldProps) {
  const fault = faults.get(place);
  return (
    <Frame place={place} label={label} help={node.help ?? "As JSON."} fault={fault} required={required}>
      <textarea
        id={idOf(place)}
        rows={4}
        spellCheck={false}
        aria-invalid={fault ? true : undefined}
        aria-describedby={describedBy(place, node.help ?? "As JSON.", fault)}
        className={classes(BOX, "px-3 py-2 font-mono text-xs")}
        value={typeof draft === "string" ? draft : ""}
        onChange={(event) => onChange(event.target.value === "" ? null : event.target.value)}
      />
    </Frame>
  );
}
