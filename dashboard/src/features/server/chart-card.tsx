"use client";

import { ChartNoAxesColumn, CircleAlert, Grid3x3, Info, Spline } from "lucide-react";
import { useCallback, useMemo, useRef, useState } from "react";
import { arrange, isEmpty } from "@/charts/arrange";
import { Legend, type Pointer } from "@/charts/legend";
import { TimeChart } from "@/charts/time-chart";
import { type ChartFacts, type MonitorFacts, Problem, type SeriesId, type Server } from "@/lib/api";
import { classes } from "@/lib/classes";
import { hubNow } from "@/lib/clock";
import { useRange, type Window } from "@/lib/data";
import { useSeen } from "@/lib/seen";
import { type Columns, since as cut, EMPTY, extend, instancesOf, lastOf, only, withGaps } from "@/lib/series";
import { counted, percent, say, unitTitle } from "@/lib/units";
import { Skeleton } from "@/ui/faces";
import { Panel } from "@/ui/panel";
import { Segmented } from "@/ui/segmented";
import { Tooltip } from "@/ui/tooltip";

const HEIGHT = 196;
/** From so many lines on, rows of colour say more than a tangle. */
const MANY = 12;
const POINTS = 480;

export function ChartCard({
  server,
  monitor,
  chart,
  tail,
  since,
  to,
  lengthMs,
  zoom,
  onZoom,
  instance = null,
}: {
  server: Server;
  monitor: MonitorFacts;
  chart: ChartFacts;
  tail: readonly Columns[];
  since: number;
  to: number;
  lengthMs: number;
  zoom: Window | null;
  onZoom: (since: number, to: number) => void;
  /** Of several monitors of this type, the one whose lines are drawn; null: those of all. */
  instance?: string | null;
}) {
  const [card, seen] = useSeen<HTMLDivElement>("400px");
  const [hidden, setHidden] = useState<ReadonlySet<SeriesId>>(new Set());
  const [lit, setLit] = useState<SeriesId | null>(null);
  const [look, setLook] = useState<"lines" | "heat" | null>(null);
  const pointer = useRef<Pointer | null>(null);
  const onPoint = useCallback((row: number | null) => pointer.current?.listen(row), []);
  const query = useRange({
    serverId: server.id,
    metrics: chart.metrics,
    lengthMs,
    window: zoom,
    points: POINTS,
    now: hubNow,
    enabled: seen,
  });

  const intervalMs = Math.max(1, monitor.interval_seconds || 15) * 1000;
  const zoomed = zoom !== null;
  const frame = useMemo(() => {
    if (query.data === undefined) return EMPTY;
    const metrics = new Set(chart.metrics);
    const whole = zoomed ? query.data : extend(query.data, tail, metrics);
    const own = instance === null ? whole : only(whole, instance);
    return cut(withGaps(own, intervalMs), since);
  }, [query.data, tail, chart.metrics, since, zoomed, intervalMs, instance]);
  // What several monitors measured does not add up to a whole: side by side, not on top of one another.
  const heap = chart.style === "stack" && instancesOf(frame) > 1;
  const facts = useMemo(() => (heap ? { ...chart, style: "line" as const } : chart), [chart, heap]);
  const drawn = useMemo(() => arrange(frame.lines, facts), [frame, facts]);

  const metrics = monitor.metrics.filter((metric) => chart.metrics.includes(metric.name));
  const unit = metrics[0]?.unit ?? "";
  const many =
    drawn.length > MANY && chart.top !== null && facts.style !== "stack" && chart.mirror.length === 0;
  const heat = many && look !== "lines";
  const height = heat ? Math.min(420, Math.max(HEIGHT, drawn.length * 9 + 34)) : HEIGHT;
  const empty = query.data !== undefined && isEmpty(frame);
  const last = drawn[0] ? lastOf(drawn[0].line.values) : null;
  const words = `${chart.title}, ${counted(drawn.length, "line")}${last === null || !drawn[0] ? "" : `; ${drawn[0].name} now ${say(unit, last)}`}`;

  return (
    <Panel className={classes("min-w-0", heat && drawn.length > 24 && "lg:col-span-2")}>
      <div
        ref={card}
        data-testid="chart"
        data-chart={chart.title}
        data-lines={drawn.length}
        data-last-value={last ?? undefined}
        className="flex h-full flex-col px-4 pt-3 pb-2.5"
      >
        <div className="mb-1 flex min-h-8 items-center gap-2">
          <h3 className="min-w-0 truncate text-base font-medium" title={chart.title}>
            {chart.title}
          </h3>
          <span className="shrink-0 text-xs text-ink-3">{unitTitle(unit)}</span>
          {metrics.some((metric) => metric.help) && (
            <Tooltip
              hint={metrics.map((metric) => (
                <span key={metric.name} className="block py-0.5">
                  {metric.help}
                </span>
              ))}
            >
              <button
                type="button"
                aria-label={`What ${chart.title} shows`}
                className="grid size-6 shrink-0 place-items-center rounded text-ink-3 hover:bg-ink/6 hover:text-ink"
              >
                <Info className="size-3.5" aria-hidden />
              </button>
            </Tooltip>
          )}
          {many && (
            <Segmented
              label={`How to draw ${chart.title}`}
              value={heat ? "heat" : "lines"}
              onChange={setLook}
              className="ml-auto h-7 [&>button]:min-w-7 [&>button]:px-1"
              options={[
                { value: "heat", label: <Grid3x3 aria-hidden />, name: "Rows of colour" },
                { value: "lines", label: <Spline aria-hidden />, name: "Lines" },
              ]}
            />
          )}
          {query.isFetching && query.isPlaceholderData && (
            <span className="ml-auto size-1.5 animate-breathe rounded-full bg-accent" title="Loading" />
          )}
        </div>
        {query.data === undefined && query.error ? (
          <ChartFault problem={query.error} retry={() => void query.refetch()} />
        ) : query.data === undefined ? (
          <Skeleton className="w-full" style={{ height: HEIGHT }} />
        ) : empty && !query.isPlaceholderData ? (
          <div
            className="flex flex-col items-center justify-center gap-2 text-sm text-ink-3"
            style={{ height: HEIGHT }}
          >
            <ChartNoAxesColumn className="size-5" aria-hidden />
            {frame.lines.length === 0 ? "Nothing measured in this time" : "No samples in this time"}
          </div>
        ) : (
          <div className={classes("transition-opacity", query.isPlaceholderData && "opacity-60")}>
            <TimeChart
              label={words}
              frame={frame}
              drawn={drawn}
              unit={unit}
              style={heat ? "heat" : facts.style}
              mirrored={chart.mirror.length > 0}
              top={chart.top ?? null}
              hidden={hidden}
              lit={lit}
              since={since}
              to={to}
              height={height}
              syncKey={server.id}
              onZoom={onZoom}
              onPoint={onPoint}
            />
          </div>
        )}
        {!empty && query.data !== undefined && (
          <div className="mt-auto pt-1.5 pl-1">
            {heat ? (
              <HeatScale lines={drawn.length} />
            ) : (
              <Legend
                drawn={drawn}
                unit={unit}
                hidden={hidden}
                onHide={setHidden}
                onLight={setLit}
                pointer={pointer}
              />
            )}
          </div>
        )}
      </div>
    </Panel>
  );
}

function HeatScale({ lines }: { lines: number }) {
  return (
    <div className="flex items-center gap-2 px-1.5 py-0.5 text-xs text-ink-3">
      <span>{counted(lines, "row")}</span>
      <span aria-hidden className="ml-auto">
        {percent(0)}
      </span>
      <span
        aria-hidden
        className="h-2 w-24 rounded-full ring-1 ring-line ring-inset"
        style={{
          background:
            "linear-gradient(90deg, color-mix(in srgb, var(--chart-1) 5%, transparent), var(--chart-1))",
        }}
      />
      <span aria-hidden>{percent(1)}</span>
    </div>
  );
}

function ChartFault({ problem, retry }: { problem: Error; retry: () => void }) {
  const requestId = problem instanceof Problem ? problem.requestId : null;
  return (
    <div
      role="alert"
      className="flex flex-col items-center justify-center gap-1 px-4 text-center text-sm"
      style={{ height: HEIGHT }}
    >
      <CircleAlert className="mb-1 size-5 text-down" aria-hidden />
      <span className="font-medium">
        {problem instanceof Problem ? problem.title : "This chart could not be drawn"}
      </span>
      <span className="line-clamp-2 max-w-sm text-pretty text-xs text-ink-3">
        {problem.message}
        {requestId && (
          <>
            {" "}
            Request <code className="font-mono">{requestId}</code>
          </>
        )}
      </span>
      <button
        type="button"
        onClick={retry}
        className="mt-1 text-xs font-medium text-accent-ink hover:underline"
      >
        Try again
      </button>
    </div>
  );
}
