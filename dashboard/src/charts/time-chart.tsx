"use client";

import { type KeyboardEvent, useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import type { SeriesId } from "@/lib/api";
import { type Frame, nearest, type Value } from "@/lib/series";
import { useShade } from "@/lib/theme";
import { axisLabels, axisSteps, timeLabels } from "@/lib/units";
import { ceilingOf, columns, type Drawn, extent, stretches } from "./arrange";
import { gutterOf } from "./gutter";
import { drawHeat } from "./heat";
import { colourOf, dashOf, faded, readPalette } from "./palette";
import { showTip } from "./tip";

export type TimeChartProps = {
  label: string;
  frame: Frame;
  drawn: Drawn[];
  unit: string;
  style: "line" | "area" | "stack" | "heat";
  mirrored: boolean;
  top: number | null;
  hidden: ReadonlySet<SeriesId>;
  /** A line that is pointed at in the legend: the others step back. */
  lit: SeriesId | null;
  since: number;
  to: number;
  height: number;
  /** Charts of the same key move their cursors together. */
  syncKey: string;
  onZoom: (since: number, to: number) => void;
  /** Which row the cursor is on, called outside of React; null when it has left. */
  onPoint?: (row: number | null) => void;
};

/** A chart over time on a canvas. Drag to zoom; arrow keys move the cursor when it has the focus. */
export function TimeChart(props: TimeChartProps) {
  const { frame, drawn, style, hidden, since, to, height, syncKey, label, lit } = props;
  const box = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const shade = useShade();

  const data = useMemo<uPlot.AlignedData>(() => {
    const times = frame.times.map((time) => time / 1000);
    return [times, ...columns(drawn, hidden, style === "stack")] as uPlot.AlignedData;
  }, [frame, drawn, hidden, style]);
  const shape = `${shade}|${style}|${props.unit}|${props.mirrored}|${height}|${drawn
    .map((each) => `${each.line.id}${each.colour}`)
    .join()}|${[...hidden].join()}`;

  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` says when the plot itself is another one
  useEffect(() => {
    if (box.current === null) return;
    const made = make(box.current, latest, tip);
    plot.current = made;
    const observer = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry?.contentRect.width ?? 0);
      if (width > 0 && width !== made.width) made.setSize({ width, height: latest.current.height });
    });
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, syncKey]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new plot needs its data again
  useEffect(() => {
    const now = plot.current;
    if (now === null) return;
    now.batch(() => {
      now.setData(data, false);
      now.setScale("x", { min: since / 1000, max: to / 1000 });
    });
  }, [data, since, to, shape]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new plot needs to be told again
  useEffect(() => {
    const now = plot.current;
    if (now === null || style === "heat") return;
    drawn.forEach((each, index) => {
      const series = now.series[index + 1];
      if (series) series.alpha = lit === null || lit === each.line.id ? 1 : 0.15;
    });
    now.redraw(false, false);
  }, [lit, drawn, style, shape]);

  const onKeyDown = (event: KeyboardEvent) => {
    const now = plot.current;
    if (now === null) return;
    const times = now.data[0];
    const step = event.shiftKey ? 10 : 1;
    const at = now.cursor.idx ?? times.length - 1;
    const next = { ArrowLeft: at - step, ArrowRight: at + step, Home: 0, End: times.length - 1 }[event.key];
    if (event.key === "Escape") now.setCursor({ left: -10, top: -10 });
    if (next === undefined) return;
    event.preventDefault();
    const time = times[Math.min(times.length - 1, Math.max(0, next))];
    if (time === undefined) return;
    const left = now.valToPos(time, "x");
    if (left >= 0 && left <= now.over.clientWidth) {
      now.over.dataset.keys = "yes";
      now.setCursor({ left, top: now.over.clientHeight / 3 });
    }
  };

  return (
    <div
      role="application"
      aria-label={label}
      aria-roledescription="chart; arrow keys move the cursor"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the chart is read with the arrow keys
      tabIndex={0}
      onKeyDown={onKeyDown}
      onBlur={() => {
        if (plot.current?.over.dataset.keys) {
          delete plot.current.over.dataset.keys;
          plot.current.setCursor({ left: -10, top: -10 });
        }
      }}
      className="relative rounded outline-offset-4"
    >
      <div ref={box} className="select-none" style={{ height }} />
      <div
        ref={tip}
        role="status"
        className="pointer-events-none invisible absolute top-0 left-0 z-20 max-w-[min(20rem,80vw)] min-w-36 rounded-lg border border-line bg-raised/96 px-2.5 py-2 text-xs shadow-float"
      />
    </div>
  );
}

function make(
  box: HTMLElement,
  latest: { current: TimeChartProps },
  tip: { current: HTMLElement | null },
): uPlot {
  const { style, mirrored, drawn, unit, hidden, height, syncKey } = latest.current;
  const palette = readPalette();
  const heat = style === "heat";
  const ratio = devicePixelRatio;

  const series: uPlot.Series[] = drawn.map((each) => {
    const colour = colourOf(palette, each.colour);
    if (heat) return { show: true, paths: () => null, points: { show: false } };
    const stacked = style === "stack";
    return {
      show: !hidden.has(each.line.id),
      stroke: each.colour === "rest" ? faded(colour, 0.9) : colour,
      width: stacked ? 1 : 1.5,
      ...(dashOf(each.colour) ? { dash: dashOf(each.colour) } : {}),
      ...(style === "area" ? { fill: faded(colour, 0.16) } : {}),
      points: { show: false, filter: lonely, size: 4, fill: colour, stroke: colour },
    };
  });
  const shown = drawn
    .map((each, index) => ({ each, index: index + 1 }))
    .filter(({ each }) => !hidden.has(each.line.id));
  const bands: uPlot.Band[] = [];
  if (style === "stack") {
    shown.forEach(({ each, index }, place) => {
      const colour = colourOf(palette, each.colour);
      const fill = faded(colour, each.colour === "rest" ? 0.22 : 0.5);
      const under = shown[place - 1];
      if (under) bands.push({ series: [index, under.index], fill });
      else {
        const ground = series[index - 1];
        if (ground) ground.fill = fill;
      }
    });
  }

  const over = (u: uPlot) => u.over.dataset.pointed === "yes" || u.over.dataset.keys === "yes";
  const options: uPlot.Options = {
    width: Math.max(120, box.clientWidth),
    height,
    legend: { show: false },
    padding: [8, 18, 0, 0],
    scales: {
      x: { time: true, auto: false },
      y: {
        range: (u) => {
          const now = latest.current;
          if (heat) return [0, Math.max(1, drawn.length)];
          const [lowest, highest] = extent(now.frame.times, u.data.slice(1) as Value[][], now.since, now.to);
          if (lowest === 0 && highest === 0) return [0, now.top ?? 1];
          if (mirrored) {
            const reach = Math.max(-lowest, highest) || 1;
            return [
              lowest < 0 ? -Math.max(-lowest, reach * 0.12) * 1.1 : 0,
              Math.max(highest, reach * 0.12) * 1.1,
            ];
          }
          return [Math.min(0, lowest * 1.08), ceilingOf(highest, now.top)];
        },
      },
    },
    series: [{}, ...series],
    bands,
    axes: [
      {
        stroke: palette.tick,
        font: palette.font,
        grid: { stroke: palette.grid, width: 1 },
        ticks: { show: false },
        size: 26,
        gap: 6,
        space: 76,
        values: (_u, ticks) =>
          timeLabels(
            ticks.map((tick) => tick * 1000),
            ((ticks[1] ?? 60) - (ticks[0] ?? 0)) * 1000,
          ),
      },
      {
        stroke: palette.tick,
        font: palette.font,
        grid: { stroke: palette.grid, width: 1, show: !heat },
        ticks: { show: false },
        size: (u) => gutterOf(u.width, unit),
        gap: 8,
        space: heat ? 14 : 27,
        ...(axisSteps(unit) && !heat ? { incrs: axisSteps(unit) } : {}),
        ...(heat
          ? {
              splits: (_u: uPlot, _axis: number, _min: number, _max: number, step: number) => {
                const every = Math.max(1, Math.round(step));
                return drawn.flatMap((_each, row) => (row % every === 0 ? [drawn.length - row - 0.5] : []));
              },
              values: (_u: uPlot, ticks: number[]) =>
                ticks.map((tick) => drawn[drawn.length - Math.round(tick + 0.5)]?.name ?? ""),
            }
          : { values: (_u: uPlot, ticks: number[]) => axisLabels(unit, ticks) }),
      },
    ],
    cursor: {
      y: false,
      dataIdx: (u, index, row) => (index === 0 ? row : nearest(u.data[index] ?? [], row)),
      points: {
        show: !heat,
        size: 7,
        width: 1.5,
        stroke: () => palette.surface,
        fill: (_u: uPlot, index: number) => colourOf(palette, drawn[index - 1]?.colour ?? 0),
      },
      drag: { x: true, y: false, setScale: false, dist: 6 },
      sync: {
        key: syncKey,
        setSeries: false,
        scales: ["x", null],
        filters: { pub: (type: string) => type !== "mousedown" && type !== "mouseup", sub: () => true },
      },
    },
    hooks: {
      setSelect: [
        (u) => {
          const { left, width } = u.select;
          if (width < 6) return;
          const since = Math.round(u.posToVal(left, "x") * 1000);
          const to = Math.round(u.posToVal(left + width, "x") * 1000);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          if (to - since >= 30_000) latest.current.onZoom(since, to);
        },
      ],
      setCursor: [
        (u) => {
          const row = (u.cursor.left ?? -1) >= 0 ? (u.cursor.idx ?? null) : null;
          latest.current.onPoint?.(row);
          if (tip.current) showTip(u, tip.current, latest.current, over(u) ? row : null);
        },
      ],
      draw: [
        (u) => {
          if (heat) drawHeat(u, latest.current, palette.series[0] ?? "#000000");
          else if (mirrored) {
            const y = Math.round(u.valToPos(0, "y", true)) + 0.5;
            u.ctx.save();
            u.ctx.strokeStyle = faded(palette.tick, 0.6);
            u.ctx.lineWidth = ratio;
            u.ctx.beginPath();
            u.ctx.moveTo(u.bbox.left, y);
            u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
            u.ctx.stroke();
            u.ctx.restore();
          }
        },
      ],
      ready: [
        (u) => {
          u.over.addEventListener("mouseenter", () => {
            u.over.dataset.pointed = "yes";
          });
          u.over.addEventListener("mouseleave", () => {
            delete u.over.dataset.pointed;
          });
        },
      ],
    },
  };
  return new uPlot(options, [[], ...drawn.map(() => [])] as unknown as uPlot.AlignedData, box);
}

/** A point of its own only where a sample stands alone between gaps and would have no line. */
function lonely(u: uPlot, index: number): number[] {
  return stretches(u.data[index] ?? []).flatMap((rows) => (rows.length === 1 ? rows : []));
}
