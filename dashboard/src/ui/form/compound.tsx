/** Fields that are made of fields: lists, groups, unions. */
"use client";

import { Plus } from "lucide-react";
import type { ReactNode } from "react";
import { count } from "@/lib/units";
import { Button } from "@/ui/button";
import { blank, type DraftOf, item, NONE } from "./draft";
import { type FieldProps, fallbackWords, NodeField, Select } from "./fields";
import { Fault, Frame } from "./frame";
import { RemoveRow } from "./rows";
import { type Field, labelOf, type Node, type NodeOf } from "./schema";

/** All fields of a group, one below the other. */
export function Fields({
  fields,
  draft,
  onChange,
  place,
  faults,
}: {
  fields: readonly Field[];
  draft: DraftOf<"fields">;
  onChange: (draft: DraftOf<"fields">) => void;
  place: string;
  faults: FieldProps["faults"];
}) {
  const others = Object.keys(draft.others);
  return (
    <div className="flex flex-col gap-4">
      {fields.map(({ key, node, required }) => (
        <NodeField
          key={key}
          place={place ? `${place}.${key}` : key}
          label={labelOf(key, node)}
          node={node}
          required={required}
          draft={draft.fields[key] ?? null}
          onChange={(next) => onChange({ ...draft, fields: { ...draft.fields, [key]: next } })}
          faults={faults}
        />
      ))}
      {others.map((key) => (
        <p key={key} className="flex flex-wrap items-center gap-2 text-sm text-ink-2">
          <span>
            <code className="font-mono text-xs">{key}</code> is set, but it is not known here.
          </span>
          <Button
            onClick={() => {
              const { [key]: _gone, ...rest } = draft.others;
              onChange({ ...draft, others: rest });
            }}
          >
            Remove {key}
          </Button>
        </p>
      ))}
    </div>
  );
}

/** Whether one line is enough for it. */
function isScalar(node: Node): boolean {
  return node.kind === "text" || node.kind === "number" || node.kind === "choice";
}

export function ListField({
  place,
  label,
  node,
  required,
  draft,
  onChange,
  faults,
}: FieldProps<NodeOf<"list">>) {
  const items = draft !== null && typeof draft === "object" && "items" in draft ? draft.items : null;
  const each = node.item();
  const fallback = items === null ? fallbackWords(node.fallback) : "";
  const full = node.most !== null && (items?.length ?? 0) >= node.most;
  const change = (next: NonNullable<typeof items>) =>
    // An empty list where nothing holds by default is the same as none.
    onChange(next.length === 0 && !required && isEmptyList(node) ? null : { items: next });
  return (
    <Frame
      place={place}
      label={label}
      help={node.help}
      fault={faults.get(place)}
      required={required}
      group
      aside={
        items !== null &&
        !required &&
        !isEmptyList(node) && (
          <Button kind="quiet" className="h-6 px-1.5 text-xs" onClick={() => onChange(null)}>
            Back to the default
          </Button>
        )
      }
    >
      <div className="flex flex-col gap-2">
        {fallback && <p className="text-sm text-ink-3">Default: {fallback}</p>}
        {items !== null && items.length === 0 && !isEmptyList(node) && (
          <p className="text-sm text-ink-3">Empty: none of the defaults hold.</p>
        )}
        {(items ?? []).map((one, index) => (
          <ListRow
            key={one.id}
            place={`${place}.${index}`}
            label={`${label} ${count(index + 1)}`}
            node={each}
            required
            draft={one.draft}
            onChange={(next) =>
              change((items ?? []).map((old) => (old.id === one.id ? { id: one.id, draft: next } : old)))
            }
            onRemove={() => change((items ?? []).filter((old) => old.id !== one.id))}
            faults={faults}
          />
        ))}
        <Button
          className="self-start"
          disabled={full}
          onClick={() => change([...(items ?? []), item(blank(each, true))])}
        >
          <Plus aria-hidden />
          {items === null && fallback ? "Set other ones" : "Add"}
          <span className="sr-only">: {label}</span>
        </Button>
      </div>
    </Frame>
  );
}

/** One element of a list: a line, or a card of fields. */
function ListRow({ onRemove, ...props }: FieldProps & { onRemove: () => void }) {
  const remove = <RemoveRow label={`Remove ${props.label}`} onClick={onRemove} />;
  if (!isScalar(props.node))
    return (
      <Card title={props.label} action={remove}>
        <NodeField {...props} bare />
      </Card>
    );
  return (
    <div>
      <div className="flex gap-1.5">
        <div className="min-w-0 flex-1">
          <NodeField {...props} bare />
        </div>
        {remove}
      </div>
      <Fault fault={props.faults.get(props.place)} />
    </div>
  );
}

function isEmptyList(node: Node): boolean {
  return !Array.isArray(node.fallback) || node.fallback.length === 0;
}

function Card({ title, action, children }: { title: string; action?: ReactNode; children: ReactNode }) {
  return (
    <div className="rounded-lg border border-line bg-sunken/50 p-3 pt-1.5">
      <div className="mb-1.5 flex items-center justify-between gap-2">
        <span className="text-xs font-medium text-ink-2">{title}</span>
        {action}
      </div>
      {children}
    </div>
  );
}

export function GroupField(props: FieldProps<NodeOf<"group">>) {
  const { place, label, node, required, draft, onChange, faults, bare } = props;
  const inner =
    draft !== null && typeof draft === "object" && "fields" in draft ? (
      <Fields fields={node.fields()} draft={draft} onChange={onChange} place={place} faults={faults} />
    ) : null;
  if (bare) return inner;
  return (
    <Frame
      place={place}
      label={label}
      help={node.help}
      fault={faults.get(place)}
      required={required}
      group
      aside={
        inner !== null &&
        !required && (
          <Button kind="quiet" className="h-6 px-1.5 text-xs" onClick={() => onChange(null)}>
            Remove<span className="sr-only">: {label}</span>
          </Button>
        )
      }
    >
      {inner === null ? (
        <Button onClick={() => onChange(blank({ ...node, nullable: false }, true))}>
          <Plus aria-hidden />
          Set<span className="sr-only">: {label}</span>
        </Button>
      ) : (
        <div className="border-l-2 border-line pl-3.5">{inner}</div>
      )}
    </Frame>
  );
}

const UNSET = "unset";

export function UnionField(props: FieldProps<NodeOf<"union">>) {
  const { place, label, node, required, draft, onChange, faults } = props;
  const chosen = draft !== null && typeof draft === "object" && "member" in draft ? draft : null;
  const member = chosen ? node.members[chosen.member]?.() : undefined;
  const fallback = fallbackWords(node.fallback);
  const choose = (value: string) => {
    if (value === UNSET) return onChange(null);
    const index = Number(value);
    const next = node.members[index]?.();
    onChange({ member: index, draft: next ? blank(next, true) : null });
  };
  return (
    <Frame place={place} label={label} help={node.help} fault={faults.get(place)} required={required} group>
      <div className="flex flex-col gap-3">
        <Select
          label={label}
          value={chosen ? String(chosen.member) : UNSET}
          onChange={choose}
          options={[
            ...(required && chosen ? [] : [{ value: UNSET, label: unsetWords(required, fallback) }]),
            ...node.names.map((name, index) => ({ value: String(index), label: name })),
            ...(node.nullable && node.fallback !== null && node.fallback !== undefined
              ? [{ value: String(NONE), label: "None" }]
              : []),
          ]}
        />
        {chosen && member && (
          <div className="border-l-2 border-line pl-3.5">
            <NodeField
              place={place}
              label={label}
              node={member}
              required
              draft={chosen.draft}
              onChange={(next) => onChange({ member: chosen.member, draft: next })}
              faults={faults}
              bare
            />
          </div>
        )}
      </div>
    </Frame>
  );
}

function unsetWords(required: boolean, fallback: string): string {
  if (required) return "Choose one";
  return fallback ? `Default: ${fallback}` : "Not set";
}
