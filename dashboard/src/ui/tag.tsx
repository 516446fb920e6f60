import type { ReactNode } from "react";
import { classes } from "@/lib/classes";

const TONES = {
  plain: "border-line bg-sunken text-ink-2",
  up: "border-up/25 bg-up/10 text-up",
  late: "border-late/30 bg-late/12 text-late",
  down: "border-down/25 bg-down/10 text-down",
  new: "border-new/25 bg-new/10 text-new",
};

/** A few words about a thing, beside its name. */
export function Tag({
  tone = "plain",
  icon,
  title,
  testId,
  children,
}: {
  tone?: keyof typeof TONES;
  icon?: ReactNode;
  title?: string;
  testId?: string;
  children: ReactNode;
}) {
  return (
    <span
      title={title}
      data-testid={testId}
      className={classes(
        "inline-flex max-w-full shrink-0 items-center gap-1 rounded-full border px-1.5 text-2xs leading-4 font-medium [&>svg]:size-3 [&>svg]:shrink-0",
        TONES[tone],
      )}
    >
      {icon}
      <span className="truncate">{children}</span>
    </span>
  );
}
