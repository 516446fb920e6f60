/** The live tail of one server: what the stream brought of its samples, at most the last half hour. Pure. */
import type { Columns } from "./series";

export type Tail = { kept: readonly Columns[] /** Time of the newest sample. */; newest: number };

/** How long samples are kept; ranges are loaded again well before. */
const TAIL_MS = 30 * 60_000;
/** Samples that come this much late are a backlog; the ranges that hold them are loaded again. */
const BACKLOG_MS = 2 * 60_000;

/** Before anything came; older samples than now are late all the same. */
export const tailFrom = (now: number): Tail => ({ kept: [], newest: now });

/** Whether old samples come late: the server was away and catches up. */
export function isBacklog({ newest }: Tail, { times: [first] }: Columns): boolean {
  return first !== undefined && first < newest - BACKLOG_MS;
}

export function follow(tail: Tail, columns: Columns): Tail {
  const newest = Math.max(tail.newest, columns.times.at(-1) ?? 0);
  const kept = tail.kept.filter(({ times }) => (times.at(-1) ?? 0) > newest - TAIL_MS);
  return { kept: [...kept, columns], newest };
}
