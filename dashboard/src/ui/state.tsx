import { CircleCheck, CircleX, ClockAlert, Sparkles } from "lucide-react";
import type { ServerState } from "@/lib/api";
import { classes } from "@/lib/classes";

/** How a server's state looks: icon, word and colour together, everywhere the same. */
export const STATES: Record<
  ServerState,
  {
    word: string;
    meaning: string;
    icon: typeof CircleCheck;
    text: string;
    soft: string;
    dot: string;
    order: number;
  }
> = {
  down: {
    word: "Down",
    meaning: "No sign of life for too long",
    icon: CircleX,
    text: "text-down",
    soft: "bg-down/10 border-down/25",
    dot: "bg-down",
    order: 0,
  },
  late: {
    word: "Late",
    meaning: "The last heartbeat is overdue",
    icon: ClockAlert,
    text: "text-late",
    soft: "bg-late/12 border-late/30",
    dot: "bg-late",
    order: 1,
  },
  new: {
    word: "New",
    meaning: "Registered, not heard from yet",
    icon: Sparkles,
    text: "text-new",
    soft: "bg-new/10 border-new/25",
    dot: "bg-new",
    order: 2,
  },
  up: {
    word: "Up",
    meaning: "Heard on time",
    icon: CircleCheck,
    text: "text-up",
    soft: "bg-up/10 border-up/25",
    dot: "bg-up",
    order: 3,
  },
};

export function StateIcon({ state, className }: { state: ServerState; className?: string }) {
  const { icon: Icon, text } = STATES[state];
  return <Icon aria-hidden className={classes("size-4 shrink-0", text, className)} strokeWidth={2.25} />;
}

export function StateBadge({ state, className }: { state: ServerState; className?: string }) {
  const { word, soft, text, meaning } = STATES[state];
  return (
    <span
      title={meaning}
      data-state={state}
      data-testid="state"
      className={classes(
        "inline-flex h-6 items-center gap-1.5 rounded-full border pr-2.5 pl-1.5 text-xs font-medium",
        soft,
        text,
        className,
      )}
    >
      <StateIcon state={state} className="size-3.5" />
      {word}
    </span>
  );
}
