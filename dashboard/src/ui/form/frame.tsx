import type { ReactNode } from "react";
import { classes } from "@/lib/classes";

/** Where a field stands (`endpoints.0.url`) as the id of its input. */
export function idOf(place: string): string {
  return `field-${place.replace(/[^\w]+/g, "-")}`;
}

/** Words that belong to an input: what assistive technology reads after its name. */
export function describedBy(place: string, help: string | null, fault: string | undefined) {
  const ids = [help && `${idOf(place)}-help`, fault && `${idOf(place)}-fault`].filter(Boolean);
  return ids.length ? ids.join(" ") : undefined;
}

/** Label above, help and fault below. */
export function Frame({
  place,
  label,
  help,
  fault,
  required,
  group = false,
  aside,
  children,
}: {
  place: string;
  label: string;
  help: string | null;
  fault: string | undefined;
  required: boolean;
  /** Several inputs under one label. */
  group?: boolean;
  /** What stands at the end of the label's line. */
  aside?: ReactNode;
  children: ReactNode;
}) {
  const id = idOf(place);
  const name = (
    <>
      {label}
      {!required && <span className="font-normal text-ink-3"> optional</span>}
    </>
  );
  const words = (
    <>
      {help && (
        <p id={`${id}-help`} className="mt-1 text-xs text-pretty text-ink-3">
          {help}
        </p>
      )}
      <Fault id={`${id}-fault`} fault={fault} />
    </>
  );
  if (group)
    return (
      <div
        role="group"
        aria-labelledby={`${id}-label`}
        aria-describedby={describedBy(place, help, fault)}
        data-field={place}
      >
        <div className="mb-1.5 flex min-h-6 items-center justify-between gap-2">
          <span id={`${id}-label`} className="text-sm font-medium">
            {name}
          </span>
          {aside}
        </div>
        {children}
        {words}
      </div>
    );
  return (
    <div data-field={place}>
      <div className="mb-1.5 flex items-center justify-between gap-2">
        <label htmlFor={id} className="text-sm font-medium">
          {name}
        </label>
        {aside}
      </div>
      {children}
      {words}
    </div>
  );
}

export function Fault({
  id,
  fault,
  className,
}: {
  id?: string;
  fault: string | undefined;
  className?: string;
}) {
  if (!fault) return null;
  return (
    <p id={id} data-testid="fault" className={classes("mt-1 text-xs font-medium text-down", className)}>
      {fault}
    </p>
  );
}
