import { BellRing, CircleCheck, CircleX, OctagonAlert, TriangleAlert, UserCheck } from "lucide-react";
import type { AlertState, Severity } from "@/lib/api";
import { classes } from "@/lib/classes";

type Look = { word: string; meaning: string; icon: typeof CircleX; text: string; soft: string };

/** How grave an alert is: shape, word and colour together, everywhere the same. */
export const SEVERITIES: Record<Severity, Look> = {
  down: {
    word: "Down",
    meaning: "No sign of life",
    icon: CircleX,
    text: "text-down",
    soft: "bg-down/10 border-down/25",
  },
  critical: {
    word: "Critical",
    meaning: "Something has failed",
    icon: OctagonAlert,
    text: "text-down",
    soft: "bg-down/10 border-down/25",
  },
  warning: {
    word: "Warning",
    meaning: "Something is not as it should be",
    icon: TriangleAlert,
    text: "text-late",
    soft: "bg-late/12 border-late/30",
  },
};

/** Whether somebody sees to it, or it is over. */
export const ALERT_STATES: Record<AlertState, Look> = {
  firing: {
    word: "Firing",
    meaning: "Nobody has taken it on yet",
    icon: BellRing,
    text: "text-down",
    soft: "bg-down/10 border-down/25",
  },
  acknowledged: {
    word: "Acknowledged",
    meaning: "Somebody sees to it",
    icon: UserCheck,
    text: "text-new",
    soft: "bg-new/10 border-new/25",
  },
  resolved: {
    word: "Resolved",
    meaning: "It is over",
    icon: CircleCheck,
    text: "text-up",
    soft: "bg-up/10 border-up/25",
  },
};

export function SeverityIcon({ severity, className }: { severity: Severity; className?: string }) {
  const { icon: Icon, text } = SEVERITIES[severity];
  return <Icon aria-hidden className={classes("size-4 shrink-0", text, className)} strokeWidth={2.25} />;
}

function Badge({ look, testId, value }: { look: Look; testId: string; value: string }) {
  const Icon = look.icon;
  return (
    <span
      title={look.meaning}
      data-testid={testId}
      data-value={value}
      className={classes(
        "inline-flex h-6 shrink-0 items-center gap-1.5 rounded-full border pr-2.5 pl-1.5 text-xs font-medium",
        look.soft,
        look.text,
      )}
    >
      <Icon aria-hidden className="size-3.5 shrink-0" strokeWidth={2.25} />
      {look.word}
    </span>
  );
}

export function SeverityBadge({ severity }: { severity: Severity }) {
  return <Badge look={SEVERITIES[severity]} testId="severity" value={severity} />;
}

export function AlertStateBadge({ state }: { state: AlertState }) {
  return <Badge look={ALERT_STATES[state]} testId="alert-state" value={state} />;
}
