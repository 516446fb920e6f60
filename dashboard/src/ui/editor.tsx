/** The frame of a form that fills the page: what is being made or changed, and how to leave it. */
"use client";

import { ArrowLeft } from "lucide-react";
import { type FormEvent, type ReactNode, useRef } from "react";
import { Button } from "./button";
import { Refusal } from "./faces";
import { Panel } from "./panel";

export function EditorFrame({
  title,
  lead,
  back,
  onBack,
  onSubmit,
  busy,
  problem,
  notice,
  blocked = false,
  action = "Save",
  children,
}: {
  title: string;
  lead?: ReactNode;
  /** Where `onBack` leads: `All channels`. */
  back: string;
  onBack: () => void;
  /** Whether it was lawful; if not, the first field at fault is looked for. */
  onSubmit: () => boolean;
  busy: boolean;
  problem: Error | null;
  /** What is to be known before saving. */
  notice?: ReactNode;
  /** Whether something is to be decided before saving. */
  blocked?: boolean;
  action?: string;
  children: ReactNode;
}) {
  const form = useRef<HTMLFormElement>(null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!onSubmit())
      // After the faults have been drawn.
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
  };
  return (
    <form ref={form} onSubmit={submit} aria-label={title} noValidate>
      <Button kind="quiet" className="-ml-2 mb-2" onClick={onBack}>
        <ArrowLeft aria-hidden />
        {back}
      </Button>
      <Panel className="max-w-3xl">
        <div className="border-b border-line px-4 py-3 sm:px-5">
          <h2 className="text-lg font-semibold tracking-tight wrap-anywhere">{title}</h2>
          {lead && <p className="text-sm text-pretty text-ink-2">{lead}</p>}
        </div>
        <div className="flex flex-col gap-5 px-4 py-4 sm:px-5">{children}</div>
        <div className="flex flex-col gap-3 border-t border-line px-4 py-3 sm:px-5">
          {notice}
          {problem && <Refusal problem={problem} />}
          <div className="flex justify-end gap-2">
            <Button onClick={onBack}>Cancel</Button>
            <Button type="submit" kind="primary" busy={busy} disabled={blocked} data-testid="save">
              {action}
            </Button>
          </div>
        </div>
      </Panel>
    </form>
  );
}

/** A part of a form with a heading of its own. */
export function Part({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  return (
    <section
      aria-label={title}
      className="flex flex-col gap-4 border-t border-line pt-4 first:border-t-0 first:pt-0"
    >
      <div>
        <h3 className="text-base font-semibold tracking-tight">{title}</h3>
        {lead && <p className="text-sm text-pretty text-ink-2">{lead}</p>}
      </div>
      {children}
    </section>
  );
}
