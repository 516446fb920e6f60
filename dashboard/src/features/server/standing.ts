/** How checks and deliveries are ordered, picked and put in words. Pure. */
import type { Check, CheckCounts, CheckState, Delivery, MonitorStanding } from "@/lib/api";
import { count, counted, duration } from "@/lib/units";
import { CHECK_STATES } from "@/ui/check-state";

/** Worst first; among those of one state the newest change first where something is wrong, else by name. */
export function worstFirst(checks: readonly Check[]): Check[] {
  return [...checks].sort(
    (a, b) =>
      CHECK_STATES[a.state].order - CHECK_STATES[b.state].order ||
      (a.state === "up" ? 0 : b.since - a.since) ||
      a.name.localeCompare(b.name, "en", { numeric: true }),
  );
}

export function picked(checks: readonly Check[], words: string, state: CheckState | "all"): Check[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return checks.filter((check) => {
    if (state !== "all" && check.state !== state) return false;
    const said = `${check.name} ${check.message} ${check.reason}`.toLowerCase();
    return wanted.every((word) => said.includes(word));
  });
}

export function countsOf(checks: readonly Check[]): CheckCounts {
  const counts: CheckCounts = { up: 0, degraded: 0, down: 0, unknown: 0 };
  for (const { state } of checks) counts[state] += 1;
  return counts;
}

/** `34 checks, all up`, `2 down, 1 degraded, 31 up`. */
export function countsInWords(counts: CheckCounts): string {
  const all = counts.up + counts.degraded + counts.down + counts.unknown;
  if (all === 0) return "none yet";
  if (counts.up === all) return `${counted(all, "check")}, ${all === 1 ? "up" : "all up"}`;
  return (["down", "degraded", "unknown", "up"] as const)
    .filter((state) => counts[state] > 0)
    .map((state) => `${count(counts[state])} ${CHECK_STATES[state].word.toLowerCase()}`)
    .join(", ");
}

const MONITOR_ORDER: Record<MonitorStanding["state"], number> = { failing: 0, absent: 1, new: 2, ok: 3 };

export function failingFirst(monitors: readonly MonitorStanding[]): MonitorStanding[] {
  return [...monitors].sort(
    (a, b) =>
      MONITOR_ORDER[a.state] - MONITOR_ORDER[b.state] ||
      a.name.localeCompare(b.name, "en", { numeric: true }),
  );
}

/** `6 monitors, all work`, `1 fails, 5 work`. */
export function monitorsInWords(monitors: readonly MonitorStanding[]): string {
  const tally = (state: MonitorStanding["state"]) => monitors.filter((each) => each.state === state).length;
  const failing = tally("failing");
  const absent = tally("absent");
  const fresh = tally("new");
  const ok = tally("ok");
  if (monitors.length === 0) return "none yet";
  if (ok === monitors.length) return `${counted(ok, "monitor")}, ${ok === 1 ? "works" : "all work"}`;
  return [
    failing && `${count(failing)} ${failing === 1 ? "fails" : "fail"}`,
    ok && `${count(ok)} ${ok === 1 ? "works" : "work"}`,
    fresh && `${count(fresh)} starting`,
    absent && `${count(absent)} with nothing to watch`,
  ]
    .filter(Boolean)
    .join(", ");
}

/** Ticks wait for a push as a matter of course; only those older than this are worth a word. */
const USUAL_WAIT_MS = 120_000;

export function isBehind(delivery: Delivery, now: number): boolean {
  return delivery.oldest_pending !== null && now - delivery.oldest_pending > USUAL_WAIT_MS;
}

/** `all delivered`, `1,240 ticks wait, oldest 12 min`, and what was lost. */
export function deliveryInWords(delivery: Delivery | null, now: number): string {
  if (delivery === null) return "not told by this agent";
  const lost = delivery.dropped > 0 ? `${count(delivery.dropped)} lost` : "";
  const waits =
    delivery.oldest_pending !== null && isBehind(delivery, now)
      ? `${counted(delivery.pending, "tick")} ${delivery.pending === 1 ? "waits" : "wait"}, oldest ${duration((now - delivery.oldest_pending) / 1000)}`
      : "";
  if (waits) return [waits, lost].filter(Boolean).join("; ");
  return lost ? `all others delivered, ${lost}` : "all delivered";
}
