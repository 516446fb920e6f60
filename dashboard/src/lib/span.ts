import type { Server } from "./api";

/** What a small picture of a server shows: its last hour. */
export const SPAN_MS = 3_600_000;

/** The same, shorter while the server is younger, so that its first minutes are not a sliver at the edge. */
export function shownSpan(server: Server, now: number): number {
  return Math.min(SPAN_MS, Math.max(300_000, now - server.registered_at));
}
