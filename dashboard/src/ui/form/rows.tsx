/** Fields of pairs and of fixed places: a row each. */
"use client";

import { Plus, X } from "lucide-react";
import { count } from "@/lib/units";
import { Button } from "@/ui/button";
import { BOX } from "@/ui/field";
import { blank, type Draft, pair } from "./draft";
import { type FieldProps, fallbackWords, NodeField } from "./fields";
import { Fault, Frame, idOf } from "./frame";
import type { NodeOf } from "./schema";

export function RemoveRow({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <Button kind="quiet" size="icon" className="h-9" aria-label={label} title={label} onClick={onClick}>
      <X aria-hidden />
    </Button>
  );
}

export function TupleField(props: FieldProps<NodeOf<"tuple">>) {
  const { place, label, node, required, draft, onChange, faults } = props;
  const items = draft !== null && typeof draft === "object" && "items" in draft ? draft.items : null;
  const fallback = fallbackWords(node.fallback);
  return (
    <Frame place={place} label={label} help={node.help} fault={faults.get(place)} required={required} group>
      {items === null ? (
        <Button onClick={() => onChange(blank(node, true))}>
          Set{fallback && ` (default: ${fallback})`}
          <span className="sr-only">: {label}</span>
        </Button>
      ) : (
        <div className="flex items-start gap-1.5">
          {node.items.map((each, index) => (
            <div key={items[index]?.id ?? index} className="min-w-0 flex-1">
              <NodeField
                place={`${place}.${index}`}
                label={`${label} ${count(index + 1)}`}
                node={each()}
                required
                draft={items[index]?.draft ?? null}
                onChange={(next) =>
                  onChange({ items: items.map((old, at) => (at === index ? { ...old, draft: next } : old)) })
                }
                faults={faults}
                bare
              />
              <Fault fault={faults.get(`${place}.${index}`)} />
            </div>
          ))}
          {!required && <RemoveRow label={`Unset ${label}`} onClick={() => onChange(null)} />}
        </div>
      )}
    </Frame>
  );
}

export function MapField(props: FieldProps<NodeOf<"map">>) {
  const { place, label, node, required, draft, onChange, faults } = props;
  const pairs = draft !== null && typeof draft === "object" && "pairs" in draft ? draft.pairs : [];
  const each = node.value();
  const change = (next: typeof pairs) => onChange(next.length === 0 && !required ? null : { pairs: next });
  return (
    <Frame place={place} label={label} help={node.help} fault={faults.get(place)} required={required} group>
      <div className="flex flex-col gap-2">
        {pairs.map(({ id, key, draft: one }, index) => {
          const at = `${place}.${index}`;
          const name = key || `${label} ${count(index + 1)}`;
          const put = (changed: { key?: string; draft?: Draft }) =>
            change(pairs.map((old) => (old.id === id ? { ...old, ...changed } : old)));
          return (
            <div key={id}>
              <div className="flex gap-1.5 max-sm:flex-wrap">
                <input
                  id={`${idOf(at)}-name`}
                  aria-label={`Name of ${label} ${count(index + 1)}`}
                  aria-invalid={faults.has(at) || undefined}
                  placeholder="Name"
                  autoComplete="off"
                  autoCapitalize="none"
                  spellCheck={false}
                  className={`${BOX} h-9 px-3 max-sm:order-1 max-sm:flex-1 sm:max-w-48`}
                  value={key}
                  onChange={(event) => put({ key: event.target.value })}
                />
                <div className="min-w-0 flex-1 max-sm:order-3 max-sm:basis-full">
                  <NodeField
                    place={at}
                    label={`Value of ${name}`}
                    node={each}
                    required
                    draft={one}
                    onChange={(next) => put({ draft: next })}
                    faults={faults}
                    bare
                  />
                </div>
                <span className="max-sm:order-2">
                  <RemoveRow
                    label={`Remove ${name}`}
                    onClick={() => change(pairs.filter((old) => old.id !== id))}
                  />
                </span>
              </div>
              <Fault fault={faults.get(at)} />
            </div>
          );
        })}
        <Button className="self-start" onClick={() => change([...pairs, pair("", blank(each, true))])}>
          <Plus aria-hidden />
          Add
          <span className="sr-only">: {label}</span>
        </Button>
      </div>
    </Frame>
  );
}
