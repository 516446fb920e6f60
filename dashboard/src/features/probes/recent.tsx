import type { Probe, ProbeState } from "@/lib/api";
import { classes } from "@/lib/classes";
import { count, moment, say, tries as triesInWords } from "@/lib/units";
import { CHECK_STATES } from "@/ui/check-state";

const BARS: Record<ProbeState, string> = {
  up: "bg-up/70",
  degraded: "bg-late",
  down: "bg-down",
  unknown: "bg-ink-3/50",
};
const SHOWN = 30;

/** The last tries as bars: as high as they took long, full height where they failed. */
export function Recent({ probe, className }: { probe: Probe; className?: string }) {
  const tries = probe.recent.slice(-SHOWN);
  const longest = Math.max(0.001, ...tries.map(({ seconds }) => seconds ?? 0));
  const bad = tries.filter(({ state }) => state !== "up").length;
  return (
    <div
      role="img"
      aria-label={
        tries.length === 0
          ? "Not tried yet"
          : `${triesInWords(tries.length)}, ${bad === 0 ? "all up" : `${count(bad)} not up`}`
      }
      className={classes("flex h-7 items-end gap-px", className)}
    >
      {/* The newest stands at the right, however many there are. */}
      {Array.from({ length: SHOWN - tries.length }, (_, place) => place).map((place) => (
        <span key={place} className="h-1 min-w-0.5 flex-1 rounded-[1px] bg-ink/8" />
      ))}
      {tries.map(({ at, state, seconds }) => (
        <span
          key={at}
          title={`${moment(at)}: ${CHECK_STATES[state].word.toLowerCase()}${seconds === null ? "" : `, ${say("s", seconds)}`}`}
          className={classes("min-w-0.5 flex-1 rounded-[1px]", BARS[state])}
          style={{
            height: state === "up" && seconds !== null ? `${25 + 75 * (seconds / longest)}%` : "100%",
          }}
        />
      ))}
    </div>
  );
}
