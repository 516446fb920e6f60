/** Whether messages arrive: when each path was last proven. Pure. */
import type { Channel, ChannelPath } from "@/lib/api";
import { ago, say } from "@/lib/units";

export const PROOF_MS = 30 * 86_400_000;

export type Proof = "proven" | "old" | "never" | "failed";

/** Of one path. What was refused last counts more than an old proof. */
export function proofOf(
  { outcome, proven_at }: Pick<ChannelPath, "outcome" | "proven_at">,
  now: number,
): Proof {
  if (outcome === "refused" || outcome === "retry") return "failed";
  if (proven_at === null) return "never";
  return now - proven_at > PROOF_MS ? "old" : "proven";
}

/** Of the channel: the hub's own path, and of the agents' the worst of those that were tried. */
export function channelProof({ paths }: Pick<Channel, "paths">, now: number): Proof {
  const proofs = paths.filter(({ outcome }) => outcome !== "trying").map((path) => proofOf(path, now));
  for (const proof of ["failed", "old"] as const) if (proofs.includes(proof)) return proof;
  return proofs.includes("proven") ? "proven" : "never";
}

/** The hub first, then servers by name. */
export function pathsInOrder(paths: readonly ChannelPath[]): ChannelPath[] {
  return [...paths].sort(
    (a, b) =>
      Number(a.server_id !== null) - Number(b.server_id !== null) ||
      (a.server ?? "").localeCompare(b.server ?? "", "en", { numeric: true }),
  );
}

export function pathInWords(path: ChannelPath, now: number): string {
  if (path.outcome === "trying") return "is being tried";
  const took = path.seconds === null ? "" : `, took ${say("s", path.seconds)}`;
  if (path.outcome === "delivered") return `arrived ${ago(path.tried_at, now)}${took}`;
  const before = path.proven_at === null ? "it never arrived" : `last arrived ${ago(path.proven_at, now)}`;
  return `failed ${ago(path.tried_at, now)}; ${before}`;
}

/** What a channel reaches, in a few words, from settings that are no secret. */
export function reachInWords(settings: Record<string, unknown>): string {
  const { recipients, to, channel, url } = settings;
  if (Array.isArray(recipients)) return recipients.map(String).join(", ");
  return (
    [to, channel, url].map(String).find((text) => text !== "undefined" && text !== "" && text !== "***") ?? ""
  );
}
