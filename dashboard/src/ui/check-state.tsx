import { CircleCheck, CircleHelp, CircleX, TriangleAlert } from "lucide-react";
import type { CheckState } from "@/lib/api";
import { classes } from "@/lib/classes";

/** How a check's state looks: shape, word and colour together, everywhere the same. Worst first by `order`. */
export const CHECK_STATES: Record<
  CheckState,
  { word: string; meaning: string; icon: typeof CircleCheck; text: string; soft: string; order: number }
> = {
  down: {
    word: "Down",
    meaning: "It has failed",
    icon: CircleX,
    text: "text-down",
    soft: "bg-down/10 border-down/25",
    order: 0,
  },
  degraded: {
    word: "Degraded",
    meaning: "It works, but not as it should",
    icon: TriangleAlert,
    text: "text-late",
    soft: "bg-late/12 border-late/30",
    order: 1,
  },
  unknown: {
    word: "Unknown",
    meaning: "It could not be judged",
    icon: CircleHelp,
    text: "text-ink-2",
    soft: "bg-ink/5 border-line-strong",
    order: 2,
  },
  up: {
    word: "Up",
    meaning: "All is well",
    icon: CircleCheck,
    text: "text-up",
    soft: "bg-up/10 border-up/25",
    order: 3,
  },
};

export function CheckIcon({ state, className }: { state: CheckState; className?: string }) {
  const { icon: Icon, text } = CHECK_STATES[state];
  return <Icon aria-hidden className={classes("size-4 shrink-0", text, className)} strokeWidth={2.25} />;
}

export function CheckBadge({ state, className }: { state: CheckState; className?: string }) {
  const { word, soft, text, meaning } = CHECK_STATES[state];
  return (
    <span
      title={meaning}
      className={classes(
        "inline-flex h-6 items-center gap-1.5 rounded-full border pr-2.5 pl-1.5 text-xs font-medium",
        soft,
        text,
        className,
      )}
    >
      <CheckIcon state={state} className="size-3.5" />
      {word}
    </span>
  );
}
