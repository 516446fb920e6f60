import type uPlot from "uplot";
import { medianStep, rowsOf } from "@/lib/series";
import { faded } from "./palette";
import type { TimeChartProps } from "./time-chart";

/** Many lines as rows of colour: the stronger, the higher. Without a top of its own the highest value is the strongest. */
export function drawHeat(u: uPlot, { drawn, frame, top }: TimeChartProps, colour: string): void {
  const { ctx, bbox } = u;
  const times = frame.times;
  const rows = drawn.length;
  const full = top ?? (Math.max(...drawn.flatMap(({ line }) => line.values.map((value) => value ?? 0))) || 1);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const rowHeight = bbox.height / rows;
  drawn.forEach(({ line }, row) => {
    const y = Math.round(bbox.top + row * rowHeight);
    const bottom = Math.round(bbox.top + (row + 1) * rowHeight) - (rowHeight > 5 ? 1 : 0);
    const own = rowsOf(line.values);
    const wide = medianStep(own.map((at) => times[at] as number)) ?? frame.stepMs ?? 15_000;
    own.forEach((at, index) => {
      const value = line.values[at] as number;
      const time = times[at] as number;
      const next = times[own[index + 1] ?? -1];
      const end = next !== undefined && next - time < wide * 1.9 ? next : time + wide;
      // Both edges rounded alike: overlapping cells would show as seams.
      const x = Math.round(u.valToPos(time / 1000, "x", true));
      const right = Math.round(u.valToPos(end / 1000, "x", true));
      ctx.fillStyle = faded(colour, 0.05 + 0.95 * Math.min(1, Math.max(0, value / full)));
      ctx.fillRect(x, y, Math.max(1, right - x), bottom - y);
    });
  });
  ctx.restore();
}
