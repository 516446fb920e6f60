import type { ReactNode } from "react";
import { classes } from "@/lib/classes";

export function Panel({ children, className }: { children: ReactNode; className?: string }) {
  return (
    <section className={classes("rounded-xl border border-line bg-surface shadow-card", className)}>
      {children}
    </section>
  );
}

export function Banner({
  icon,
  tone = "plain",
  children,
  action,
  testId,
}: {
  icon: ReactNode;
  tone?: "plain" | "late" | "down";
  children: ReactNode;
  action?: ReactNode;
  testId?: string;
}) {
  const tones = {
    plain: "border-line bg-sunken text-ink-2 [&>svg]:text-ink-3",
    late: "border-late/30 bg-late/9 text-ink [&>svg]:text-late",
    down: "border-down/30 bg-down/7 text-ink [&>svg]:text-down",
  };
  return (
    <div
      role="status"
      data-testid={testId}
      className={classes(
        "flex flex-wrap items-center gap-x-2.5 gap-y-1 rounded-lg border px-3 py-2 text-sm [&>svg]:size-4 [&>svg]:shrink-0",
        tones[tone],
      )}
    >
      {icon}
      <div className="min-w-0 flex-1 text-pretty">{children}</div>
      {action}
    </div>
  );
}
