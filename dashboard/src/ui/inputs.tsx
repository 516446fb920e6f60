/** What forms are made of, beside the text field: a choice, several of a few, a switch, words, a text of several lines. */
"use client";

import { X } from "lucide-react";
import { type ComponentProps, type ReactNode, useId, useState } from "react";
import { classes } from "@/lib/classes";
import { BOX } from "./field";

type Option<T extends string> = { value: T; label: string };

function Note({ id, note, fault }: { id: string; note: ReactNode; fault: boolean }) {
  return note ? (
    <p
      id={`${id}-note`}
      className={classes("mt-1.5 text-xs text-pretty", fault ? "font-medium text-down" : "text-ink-3")}
    >
      {note}
    </p>
  ) : null;
}

export function Choice<T extends string>({
  label,
  hint,
  fault,
  bare = false,
  value,
  onChange,
  options,
  className,
}: {
  label: string;
  hint?: ReactNode;
  fault?: string | null | undefined;
  /** Small, and without a label to be seen: a filter. */
  bare?: boolean;
  value: T;
  onChange: (value: T) => void;
  options: readonly Option<T>[];
  className?: string;
}) {
  const id = useId();
  const note = fault ?? hint;
  const select = (
    <select
      id={id}
      aria-label={bare ? label : undefined}
      aria-invalid={fault ? true : undefined}
      aria-describedby={note ? `${id}-note` : undefined}
      value={value}
      onChange={(event) => onChange(event.target.value as T)}
      className={classes(BOX, bare ? "h-8 border-line px-2 text-sm" : "h-10 px-2.5", bare && className)}
    >
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  );
  if (bare) return select;
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        {label}
      </label>
      {select}
      <Note id={id} note={note} fault={Boolean(fault)} />
    </div>
  );
}

/** Any number of a few, side by side. */
export function Several<T extends string>({
  label,
  hint,
  fault,
  chosen,
  onChange,
  options,
  className,
}: {
  label: string;
  hint?: ReactNode;
  fault?: string | null | undefined;
  chosen: readonly T[];
  onChange: (chosen: T[]) => void;
  options: readonly Option<T>[];
  className?: string;
}) {
  const id = useId();
  const note = fault ?? hint;
  return (
    <fieldset className={className} aria-describedby={note ? `${id}-note` : undefined}>
      <legend className="mb-1.5 text-sm font-medium">{label}</legend>
      <div className="flex flex-wrap gap-1.5">
        {options.map((option) => {
          const on = chosen.includes(option.value);
          return (
            <label
              key={option.value}
              className={classes(
                "inline-flex min-h-8 max-w-full cursor-pointer items-center gap-2 rounded-md border px-2.5 py-1 text-sm has-focus-visible:outline-2 has-focus-visible:outline-accent",
                on ? "border-accent bg-accent-soft text-ink" : "border-line-strong bg-surface text-ink-2",
              )}
            >
              <input
                type="checkbox"
                checked={on}
                className="size-3.5 shrink-0 accent-(--accent)"
                onChange={() =>
                  // In the order of the options, whatever was chosen first.
                  onChange(
                    options
                      .map(({ value }) => value)
                      .filter((value) => (value === option.value ? !on : chosen.includes(value))),
                  )
                }
              />
              <span className="truncate">{option.label}</span>
            </label>
          );
        })}
      </div>
      <Note id={id} note={note} fault={Boolean(fault)} />
    </fieldset>
  );
}

/** Yes or no. */
export function Switch({
  label,
  hint,
  checked,
  onChange,
}: {
  label: string;
  hint?: ReactNode;
  checked: boolean;
  onChange: (checked: boolean) => void;
}) {
  const id = useId();
  return (
    <div>
      <label className="flex min-h-6 items-start gap-2.5 text-sm font-medium">
        <input
          type="checkbox"
          checked={checked}
          aria-describedby={hint ? `${id}-note` : undefined}
          onChange={(event) => onChange(event.target.checked)}
          className="mt-0.5 size-4 shrink-0 accent-(--accent)"
        />
        {label}
      </label>
      {hint && (
        <p id={`${id}-note`} className="mt-0.5 pl-6.5 text-xs text-pretty text-ink-3">
          {hint}
        </p>
      )}
    </div>
  );
}

/** Words, each on its own: tags. Enter or a comma ends one. */
export function Words({
  label,
  hint,
  words,
  onChange,
  known = [],
  longest = 50,
}: {
  label: string;
  hint?: ReactNode;
  words: readonly string[];
  onChange: (words: string[]) => void;
  /** Some that are in use, to choose from. */
  known?: readonly string[];
  longest?: number;
}) {
  const id = useId();
  const [typed, setTyped] = useState("");
  const add = (text: string) => {
    const more = text
      .split(",")
      .map((word) => word.trim())
      .filter(Boolean);
    if (more.length > 0) onChange([...new Set([...words, ...more])]);
    setTyped("");
  };
  return (
    <div>
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        {label}
      </label>
      <div
        className={classes(
          BOX,
          "flex min-h-10 flex-wrap items-center gap-1.5 px-2 py-1 has-focus-visible:border-accent has-focus-visible:outline-2 has-focus-visible:outline-accent/35",
        )}
      >
        {words.map((word) => (
          <span
            key={word}
            className="inline-flex max-w-full items-center gap-0.5 rounded bg-ink/7 py-0.5 pr-0.5 pl-2 text-sm"
          >
            <span className="truncate">{word}</span>
            <button
              type="button"
              aria-label={`Remove ${word}`}
              onClick={() => onChange(words.filter((each) => each !== word))}
              className="grid size-6 place-items-center rounded text-ink-3 hover:bg-ink/10 hover:text-ink"
            >
              <X className="size-3.5" aria-hidden />
            </button>
          </span>
        ))}
        <input
          id={id}
          list={`${id}-known`}
          value={typed}
          maxLength={longest}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          aria-describedby={hint ? `${id}-note` : undefined}
          className="h-7 min-w-24 flex-1 bg-transparent px-1 text-base outline-none"
          onChange={(event) =>
            event.target.value.includes(",") ? add(event.target.value) : setTyped(event.target.value)
          }
          onBlur={() => add(typed)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && typed.trim()) {
              event.preventDefault();
              add(typed);
            } else if (event.key === "Backspace" && typed === "") onChange(words.slice(0, -1));
          }}
        />
        <datalist id={`${id}-known`}>
          {known
            .filter((word) => !words.includes(word))
            .map((word) => (
              <option key={word} value={word} />
            ))}
        </datalist>
      </div>
      <Note id={id} note={hint} fault={false} />
    </div>
  );
}

export function Area({
  label,
  hint,
  className,
  ...rest
}: ComponentProps<"textarea"> & { label: string; hint?: ReactNode }) {
  const id = useId();
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        {label}
      </label>
      <textarea
        id={id}
        rows={3}
        aria-describedby={hint ? `${id}-note` : undefined}
        className={classes(BOX, "px-3 py-2")}
        {...rest}
      />
      <Note id={id} note={hint} fault={false} />
    </div>
  );
}

/** A line that may be any text, with some to choose from. */
export function Suggested({
  label,
  hint,
  fault,
  value,
  onChange,
  known,
  placeholder,
  className,
}: {
  label: string;
  hint?: ReactNode;
  fault?: string | null | undefined;
  value: string;
  onChange: (value: string) => void;
  known: readonly { value: string; label?: string }[];
  placeholder?: string;
  className?: string;
}) {
  const id = useId();
  const note = fault ?? hint;
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        {label}
      </label>
      <input
        id={id}
        list={`${id}-known`}
        value={value}
        placeholder={placeholder}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        aria-invalid={fault ? true : undefined}
        aria-describedby={note ? `${id}-note` : undefined}
        className={classes(BOX, "h-10 px-3")}
        onChange={(event) => onChange(event.target.value)}
      />
      <datalist id={`${id}-known`}>
        {known.map((each) => (
          <option key={each.value} value={each.value}>
            {each.label}
          </option>
        ))}
      </datalist>
      <Note id={id} note={note} fault={Boolean(fault)} />
    </div>
  );
}
