import { classes } from "@/lib/classes";

/** How full something is. From 80 and 92 % the bar also changes its texture, so that colour is not alone. */
export function Meter({
  ratio,
  good,
  label,
  className,
}: {
  ratio: number;
  good: "low" | "high" | "none";
  label: string;
  className?: string;
}) {
  const tone = toneOf(ratio, good);
  return (
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(ratio * 100)}
      className={classes("h-1 overflow-hidden rounded-full bg-ink/8", className)}
    >
      <div
        className={classes(
          "h-full rounded-full transition-[width] duration-500",
          tone === "calm" ? "bg-chart-1" : tone === "high" ? "bg-late" : "bg-down",
        )}
        style={{ width: `${Math.min(100, Math.max(0, ratio * 100))}%` }}
      />
    </div>
  );
}

export type Tone = "calm" | "high" | "full";

/** Whether a ratio deserves a second look; only where the catalogue says which direction is the better one. */
export function toneOf(ratio: number | null, good: "low" | "high" | "none"): Tone {
  if (ratio === null || good !== "low") return "calm";
  return ratio >= 0.92 ? "full" : ratio >= 0.8 ? "high" : "calm";
}
