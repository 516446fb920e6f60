/** Which probes are shown, in which order, and how they read. Pure. */
import type { Probe, ProbeOutcome, ProbeState } from "@/lib/api";
import { duration, say } from "@/lib/units";

const ORDER: Record<ProbeState, number> = { down: 0, degraded: 1, unknown: 2, up: 3 };

/** Trouble on top, what is paused last; within these by name. */
export function inOrder(probes: readonly Probe[]): Probe[] {
  const place = ({ state, enabled }: Probe) => (enabled ? ORDER[state] : 4);
  return [...probes].sort(
    (a, b) => place(a) - place(b) || a.name.localeCompare(b.name, "en", { numeric: true }),
  );
}

export function matching(probes: readonly Probe[], text: string, state: ProbeState | "all"): Probe[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return probes.filter(
    (probe) =>
      (state === "all" || (probe.enabled && probe.state === state)) &&
      words.every((word) => `${probe.name} ${probe.target} ${probe.kind}`.toLowerCase().includes(word)),
  );
}

/** `99.98%`: of a share so near to one the last digits matter. */
export function uptimeInWords(share: number | null): string {
  if (share === null) return "–";
  if (share === 1) return "100%";
  // Never a round hundred for what was away.
  const hundredths = Math.min(9999, Math.round(share * 10_000));
  return `${hundredths / 100}%`;
}

const SOON_MS = 30 * 86_400_000;

/** When a certificate ends, if that is near. */
export function expiryInWords(expiresAt: number | null, now: number): string | null {
  if (expiresAt === null || expiresAt - now > SOON_MS) return null;
  return expiresAt <= now
    ? "certificate expired"
    : `certificate ends in ${duration((expiresAt - now) / 1000)}`;
}

export function outcomeInWords({ state, message, seconds }: ProbeOutcome): string {
  const took = seconds === null ? "" : ` after ${say("s", seconds)}`;
  if (state === "up") return `It answered as expected${took}.`;
  return `${state === "unknown" ? "It could not be judged" : state === "down" ? "It failed" : "Not as it should be"}${took}: ${message}`;
}
