"use client";

import { classes } from "@/lib/classes";
import type { Value } from "@/lib/series";
import { ceilingOf, stretches } from "./arrange";

/**
 * A small picture of a column: no axes, no words. Gaps stay gaps. The scale ends at `top`, or a step below it when the
 * values stay far under; without a top at the highest value.
 */
export function Sparkline({
  times,
  values,
  since,
  to,
  top,
  className,
  tone = "var(--chart-1)",
}: {
  times: readonly number[];
  values: readonly Value[];
  since: number;
  to: number;
  top: number | null;
  className?: string;
  tone?: string;
}) {
  const highest = values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
  // Coarser steps than a chart's: small pictures are compared with one another.
  const ceiling =
    top !== null && highest <= top ? (highest <= 0.22 * top ? 0.25 * top : top) : ceilingOf(highest, top);
  const xOf = (row: number) => round((((times[row] as number) - since) / (to - since)) * 200);
  const yOf = (row: number) => round(97 - (Math.max(0, values[row] ?? 0) / ceiling) * 94);
  const runs = stretches(values)
    .map((rows) => rows.filter((row) => xOf(row) >= -4))
    .filter((rows) => rows.length > 1)
    .map((rows) => ({
      first: xOf(rows[0] as number),
      last: xOf(rows.at(-1) as number),
      path: rows.map((row) => `${xOf(row)} ${yOf(row)}`).join("L"),
    }));
  return (
    <svg
      viewBox="0 0 200 100"
      preserveAspectRatio="none"
      aria-hidden="true"
      className={classes("block overflow-hidden", className)}
      style={{ color: tone }}
    >
      <path
        d="M0 99H200"
        stroke="var(--line-strong)"
        strokeDasharray="2 3"
        vectorEffect="non-scaling-stroke"
        opacity={runs.length === 0 ? 1 : 0.55}
      />
      <path
        d={runs.map(({ first, last, path }) => `M${first} 100L${path}L${last} 100Z`).join("")}
        fill="currentColor"
        opacity="0.13"
      />
      <path
        d={runs.map(({ path }) => `M${path}`).join("")}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinejoin="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}

const round = (value: number) => Math.round(value * 10) / 10;
