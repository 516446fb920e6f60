/** A silence as it is typed, and what it comes to. Pure. */
import type { NewSilence, Recurring, Selector, Silence } from "@/lib/api";
import { ofLocalInput } from "@/lib/units";

export type Draft = {
  what: Selector;
  kind: "once" | "recurring";
  /** As the inputs hold them; empty: now, and until somebody ends it. */
  starts: string;
  ends: string;
  hours: Recurring;
  comment: string;
};

export type Faults = Partial<Record<"ends" | "starts" | "days", string>>;

export function readSilence(
  draft: Draft,
  organizationId: string,
  now: number,
): { wanted: NewSilence; faults: Faults } {
  const faults: Faults = {};
  const starts = ofLocalInput(draft.starts);
  const ends = ofLocalInput(draft.ends);
  if (draft.starts !== "" && starts === null) faults.starts = "Not a whole time";
  if (draft.ends !== "" && ends === null) faults.ends = "Not a whole time";
  if (ends !== null && ends <= Math.max(now, starts ?? 0))
    faults.ends = "It must end later than it starts, and than now";
  if (draft.kind === "recurring" && draft.hours.days.length === 0) faults.days = "Choose at least one day";
  return {
    wanted: {
      organization_id: organizationId,
      comment: draft.comment.trim(),
      what: draft.what,
      again: draft.kind === "recurring" ? draft.hours : null,
      starts_at: starts,
      ends_at: ends,
    },
    faults,
  };
}

export type Standing = "holds" | "waits" | "coming" | "over";

/** `waits`: it recurs, and these are not its hours. */
export function standingOf(silence: Silence, now: number): Standing {
  if (silence.ends_at !== null && silence.ends_at <= now) return "over";
  if (silence.starts_at > now) return "coming";
  return silence.active || silence.again === null ? "holds" : "waits";
}

const ORDER: Standing[] = ["holds", "waits", "coming", "over"];

/** What holds first, what is over last; within these the newest first. */
export function inOrder(silences: readonly Silence[], now: number): Silence[] {
  const place = (silence: Silence) => ORDER.indexOf(standingOf(silence, now));
  return [...silences].sort((a, b) => place(a) - place(b) || b.starts_at - a.starts_at);
}
