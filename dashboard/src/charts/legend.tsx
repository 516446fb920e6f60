"use client";

import { type RefObject, useEffect, useRef, useState } from "react";
import { classes } from "@/lib/classes";
import { lastOf } from "@/lib/series";
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
  hidden: ReadonlySet<string>;
  onHide: (hidden: ReadonlySet<string>) => void;
  onLight: (id: string | null) => void;
  pointer: RefObject<Pointer | null>;
}) {
  const [all, setAll] = useState(false);
  const list = useRef<HTMLDivElement>(null);
  const shown = all ? drawn : drawn.slice(0, SHOWN);

  useEffect(() => {
    pointer.current = {
      listen: (row) => {
        list.current?.querySelectorAll<HTMLElement>("[data-line]").forEach((item) => {
          const line = drawn.find((each) => each.line.id === item.dataset.line)?.line;
          if (line) item.textContent = say(unit, row === null ? lastOf(line.values) : line.values[row]);
        });
      },
    };
  }, [drawn, unit, pointer]);

  const toggle = (id: string) => {
    const next = new Set(hidden);
    if (!next.delete(id)) next.add(id);
    // Nothing left to see: then everything is meant.
    onHide(next.size === drawn.length ? new Set() : next);
  };
  const only = (id: string) => {
    const others = drawn.filter((each) => each.line.id !== id).map((each) => each.line.id);
    const alone = !hidden.has(id) && others.every((other) => hidden.has(other));
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
            onClick={(event) => event.detail < 2 && toggle(line.id)}
            onDoubleClick={() => only(line.id)}
            onMouseEnter={() => !off && onLight(line.id)}
            onMouseLeave={() => onLight(null)}
            className={classes(
              "flex max-w-full items-center gap-1.5 rounded px-1.5 py-0.5 text-xs transition-colors hover:bg-ink/6",
              off ? "text-ink-3 line-through decoration-ink-3/60" : "text-ink-2",
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
            <span className="max-w-44 truncate">{name}</span>
            {!off && (
              <span data-line={line.id} className="min-w-9 text-right font-medium text-ink">
                {say(unit, lastOf(line.values))}
              </span>
            )}
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
