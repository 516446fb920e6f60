"use client";

import { ChevronDown } from "lucide-react";
import { type ReactNode, useId } from "react";
import { classes } from "@/lib/classes";
import { Panel } from "./panel";

/** A panel that says in one line how things are, and everything once it is opened. */
export function Disclosure({
  title,
  summary,
  open,
  onToggle,
  children,
  testId,
  className,
}: {
  title: string;
  /** How things are, in a few words; announced when it changes. */
  summary: ReactNode;
  open: boolean;
  onToggle: (open: boolean) => void;
  children: ReactNode;
  testId?: string;
  className?: string;
}) {
  const id = useId();
  return (
    <Panel className={classes("min-w-0", open && "col-span-full", className)}>
      <div data-testid={testId} data-open={open}>
        <h2>
          <button
            type="button"
            aria-expanded={open}
            aria-controls={id}
            onClick={() => onToggle(!open)}
            className="flex min-h-12 w-full items-center gap-x-3 rounded-xl px-4 py-2 text-left hover:bg-ink/[0.025]"
          >
            <span className="shrink-0 text-base font-semibold tracking-tight">{title}</span>
            <span aria-live="polite" className="min-w-0 flex-1 text-sm text-ink-2">
              {summary}
            </span>
            <ChevronDown
              aria-hidden
              className={classes("size-4 shrink-0 text-ink-3 transition-transform", open && "rotate-180")}
            />
          </button>
        </h2>
        <div id={id} hidden={!open} className="border-t border-line">
          {open && children}
        </div>
      </div>
    </Panel>
  );
}
