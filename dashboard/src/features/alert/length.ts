/** For how long an alert is silenced. */
const HOUR = 3_600_000;

export const LENGTHS = [
  { value: "15m", label: "15 minutes" },
  { value: "1h", label: "1 hour" },
  { value: "4h", label: "4 hours" },
  { value: "1d", label: "1 day" },
  { value: "7d", label: "7 days" },
  { value: "ended", label: "Until somebody ends it" },
] as const;

export type Length = (typeof LENGTHS)[number]["value"];

const SIZES: Record<Exclude<Length, "ended">, number> = {
  "15m": HOUR / 4,
  "1h": HOUR,
  "4h": 4 * HOUR,
  "1d": 24 * HOUR,
  "7d": 168 * HOUR,
};

/** When the silence ends; null: when somebody ends it. */
export function untilOf(length: Length, now: number): number | null {
  return length === "ended" ? null : Math.round(now) + SIZES[length];
}
