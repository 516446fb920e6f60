"use client";

import { Eye, EyeOff } from "lucide-react";
import { type ComponentProps, type ReactNode, useId, useState } from "react";
import { classes } from "@/lib/classes";

/** How everything that is typed into looks. */
export const BOX =
  "w-full rounded-md border border-line-strong bg-surface text-base text-ink placeholder:text-ink-3/80 hover:border-ink-3/60 focus-visible:border-accent focus-visible:outline-2 focus-visible:outline-offset-0 focus-visible:outline-accent/35 aria-invalid:border-down";

export function Field({
  label,
  hint,
  fault,
  className,
  ...rest
}: ComponentProps<"input"> & { label: string; hint?: ReactNode; fault?: string | null }) {
  const id = useId();
  const [shown, setShown] = useState(false);
  const secret = rest.type === "password";
  const note = fault ?? hint;
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1.5 block text-sm font-medium">
        {label}
      </label>
      <div className="relative">
        <input
          id={id}
          className={classes(BOX, "h-10 px-3", secret && "pr-10")}
          aria-invalid={fault ? true : undefined}
          aria-describedby={note ? `${id}-note` : undefined}
          {...rest}
          type={secret && shown ? "text" : rest.type}
        />
        {secret && (
          <button
            type="button"
            onClick={() => setShown(!shown)}
            aria-label={shown ? "Hide the password" : "Show the password"}
            className="absolute inset-y-1 right-1 grid w-8 place-items-center rounded text-ink-3 hover:bg-ink/6 hover:text-ink"
          >
            {shown ? <EyeOff className="size-4" aria-hidden /> : <Eye className="size-4" aria-hidden />}
          </button>
        )}
      </div>
      {note && (
        <p id={`${id}-note`} className={classes("mt-1.5 text-xs", fault ? "text-down" : "text-ink-3")}>
          {note}
        </p>
      )}
    </div>
  );
}

/** A small input with an icon, for filtering what is on the page. */
export function Search({
  icon,
  className,
  ...rest
}: ComponentProps<"input"> & { icon: ReactNode; "aria-label": string }) {
  return (
    <div
      className={classes(
        "relative [&>svg]:pointer-events-none [&>svg]:absolute [&>svg]:top-2 [&>svg]:left-2.5 [&>svg]:size-4 [&>svg]:text-ink-3",
        className,
      )}
    >
      {icon}
      <input
        type="search"
        className={classes(
          BOX,
          "h-8 border-line pr-2 pl-8 text-sm [&::-webkit-search-cancel-button]:opacity-50",
        )}
        {...rest}
      />
    </div>
  );
}
