"use client";

import { classes } from "@/lib/classes";
import { ceilingOf } from "./arrange";

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
  values: readonly (number | null)[];
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
  const runs: string[] = [];
  const areas: string[] = [];
  let run: string[] = [];
  let first = 0;
  let last = 0;
  const close = () => {
    if (run.length > 1) {
      runs.push(`M${run.join("L")}`);
      areas.push(`M${first} 100L${run.join("L")}L${last} 100Z`);
    }
    run = [];
  };
  times.forEach((time, row) => {
    const value = values[row];
    if (value === null || value === undefined) {
      close();
      return;
    }
    const x = round(((time - since) / (to - since)) * 200);
    if (x < -4) return;
    if (run.length === 0) first = x;
    last = x;
    run.push(`${x} ${round(97 - (Math.max(0, value) / ceiling) * 94)}`);
  });
  close();
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
      <path d={areas.join("")} fill="currentColor" opacity="0.13" />
      <path
        d={runs.join("")}
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
