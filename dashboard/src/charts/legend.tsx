"use client";

import { type RefObject, useEffect, useRef, useState } from "react";
import type { SeriesId } from "@/lib/api";
import { classes } from "@/lib/classes";
import { lastOf, valueAt } from "@/lib/series";
import { counted, say } from "@/lib/units";
import type { Drawn } from "./arrange";
import { colourToken } from "./palette";

const SHOWN = 8;

/** Follows the cursor of the chart beside it, without a render per movement. */
export type Pointer = { listen: (row: number | null) => void };

/** Names, colours and values of a chart's lines; each is a switch. A double click leaves only that one. */
export function Legend({
  drawn,
  unit,
  hidden,
  onHide,
  onLight,
  pointer,
}: {
  drawn: Drawn[];
  unit: string;
  hidden: ReadonlySet<SeriesId>;
  onHide: (hidden: ReadonlySet<SeriesId>) => void;
  onLight: (id: SeriesId | null) => void;
  pointer: RefObject<Pointer | null>;
}) {
  const [all, setAll] = useState(false);
  const list = useRef<HTMLDivElement>(null);
  const before = useRef(hidden);
  const shown = all ? drawn : drawn.slice(0, SHOWN);

  useEffect(() => {
    pointer.current = {
      listen: (row) => {
        list.current?.querySelectorAll<HTMLElement>("[data-line]").forEach((item) => {
          const line = drawn.find((each) => String(each.line.id) === item.dataset.line)?.line;
          if (line)
            item.textContent = say(unit, row === null ? lastOf(line.values) : valueAt(line.values, row));
        });
      },
    };
  }, [drawn, unit, pointer]);

  const toggle = (id: SeriesId) => {
    const next = new Set(hidden);
    if (!next.delete(id)) next.add(id);
    // Nothing left to see: then everything is meant.
    onHide(next.size === drawn.length ? new Set() : next);
  };
  const only = (id: SeriesId) => {
    const others = drawn.filter((each) => each.line.id !== id).map((each) => each.line.id);
    // The first click of the two has already switched; what counts is how it was before.
    const was = before.current;
    const alone = !was.has(id) && others.every((other) => was.has(other));
    onHide(alone ? new Set() : new Set(others));
  };

  return (
    <div
      ref={list}
      className={classes("flex flex-wrap gap-x-1 gap-y-0.5", all && "max-h-32 overflow-y-auto")}
    >
      {shown.map(({ line, name, colour }) => {
        const off = hidden.has(line.id);
        return (
          <button
            key={line.id}
            type="button"
            aria-pressed={!off}
            title={`${name}: click to ${off ? "show" : "hide"}, double-click for this one only`}
            onClick={(event) => {
              if (event.detail > 1) return;
              before.current = hidden;
              toggle(line.id);
            }}
            onDoubleClick={() => only(line.id)}
            onMouseEnter={() => !off && onLight(line.id)}
            onMouseLeave={() => onLight(null)}
            className={classes(
              "flex max-w-full items-center gap-1.5 rounded px-1.5 py-0.5 text-xs transition-colors hover:bg-ink/6",
              off ? "text-ink-3 opacity-70" : "text-ink-2",
            )}
          >
            <span
              aria-hidden
              className="size-2 shrink-0 rounded-[3px]"
              style={
                off
                  ? { boxShadow: "inset 0 0 0 1.5px var(--line-strong)" }
                  : { background: colourToken(colour) }
              }
            />
            <span className={classes("max-w-44 truncate", off && "line-through")}>{name}</span>
            <span data-line={line.id} className={classes("min-w-9 font-medium", !off && "text-ink")}>
              {say(unit, lastOf(line.values))}
            </span>
          </button>
        );
      })}
      {drawn.length > SHOWN && (
        <button
          type="button"
          onClick={() => setAll(!all)}
          className="rounded px-1.5 py-0.5 text-xs font-medium text-accent-ink hover:bg-ink/6"
        >
          {all ? "Show fewer" : `and ${counted(drawn.length - SHOWN, "other")}`}
        </button>
      )}
    </div>
  );
}
