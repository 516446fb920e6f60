/** What the filters of the history come to. Pure. */
import type { Span } from "@/lib/alerts";
import type { historyFields, StateOf } from "@/lib/url";

export type Filters = StateOf<typeof historyFields>;

const DAY = 86_400_000;
const LENGTHS: Record<Exclude<Filters["time"], "between">, number> = {
  "24h": DAY,
  "7d": 7 * DAY,
  "30d": 30 * DAY,
  "90d": 90 * DAY,
};

export const NONE: Filters = {
  q: "",
  server: "",
  rule: "",
  severity: "all",
  state: "all",
  time: "90d",
  from: null,
  to: null,
};

export function spanOf({ time, from, to }: Pick<Filters, "time" | "from" | "to">): Span {
  return time === "between" ? { since: from, to } : { lengthMs: LENGTHS[time] };
}

/** Whether anything is left out. */
export function isFiltered(filters: Filters): boolean {
  return (Object.keys(NONE) as (keyof Filters)[]).some((key) => filters[key] !== NONE[key]);
}
