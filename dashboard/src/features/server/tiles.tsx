"use client";

import { Sparkline } from "@/charts/sparkline";
import type { Catalogue, Headline, Server } from "@/lib/api";
import { classes } from "@/lib/classes";
import { hubNow } from "@/lib/clock";
import { useRange } from "@/lib/data";
import { type Columns, extend, headlineColumn, withGaps } from "@/lib/series";
import { SPAN_MS, shownSpan } from "@/lib/span";
import { measure } from "@/lib/units";
import { Skeleton } from "@/ui/faces";
import { Meter, toneOf } from "@/ui/meter";
import { Panel } from "@/ui/panel";

/** The figures that stand for the server, large, each with its last hour. */
export function HeadlineTiles({
  server,
  catalogue,
  tail,
  now,
}: {
  server: Server;
  catalogue: Catalogue;
  tail: readonly Columns[];
  now: number;
}) {
  if (server.headlines.length === 0) return null;
  const labelsOf = (metric: string) =>
    catalogue.monitors.flatMap(({ charts }) => charts).find(({ metrics }) => metrics.includes(metric))?.by ??
    [];
  const intervalOf = (metric: string) =>
    catalogue.monitors.find((monitor) => monitor.metrics.some((each) => each.name === metric))
      ?.interval_seconds ?? 15;
  return (
    <div
      className={classes(
        "grid grid-cols-[repeat(auto-fit,minmax(min(100%,10rem),1fr))] gap-2 sm:gap-3",
        server.headlines.length === 3 ? "max-sm:grid-cols-3" : "max-sm:grid-cols-2",
      )}
    >
      {server.headlines.map((headline) => (
        <Tile
          key={headline.title}
          server={server}
          headline={headline}
          tail={tail}
          now={now}
          by={labelsOf(headline.metric)}
          intervalMs={intervalOf(headline.metric) * 1000}
        />
      ))}
    </div>
  );
}

function Tile({
  server,
  headline,
  tail,
  now,
  by,
  intervalMs,
}: {
  server: Server;
  headline: Headline;
  tail: readonly Columns[];
  now: number;
  /** Labels that tell the series of this metric apart. */
  by: readonly string[];
  intervalMs: number;
}) {
  const query = useRange({
    serverId: server.id,
    metrics: [headline.metric],
    lengthMs: SPAN_MS,
    window: null,
    points: 240,
    now: hubNow,
  });
  const { number, unit } = measure(headline.unit, headline.value);
  const isRatio = headline.unit === "1";
  const tone = isRatio ? toneOf(headline.value, headline.good) : "calm";
  const stale = server.state === "late" || server.state === "down";
  const frame = query.data
    ? withGaps(extend(query.data, tail, new Set([headline.metric])), Math.max(intervalMs, 15_000))
    : null;
  const which = by
    .map((key) => headline.labels[key])
    .filter(Boolean)
    .join(" · ");
  const shownMs = shownSpan(server, now);
  return (
    <Panel className="min-w-0">
      <div
        data-headline={headline.title}
        data-value={headline.value ?? undefined}
        className="flex h-full flex-col px-3 py-3 sm:px-4"
      >
        <div className="flex items-baseline justify-between gap-2">
          <h2 className="text-sm font-medium text-ink-2">{headline.title}</h2>
          {which && (
            <span
              className="min-w-0 truncate font-mono text-2xs text-ink-3 max-sm:hidden"
              title={`The highest of all: ${which}`}
            >
              {which}
            </span>
          )}
        </div>
        <div className="mt-1 flex items-end justify-between gap-x-4 gap-y-2 max-sm:flex-col max-sm:items-stretch">
          <span
            className={classes(
              "text-xl font-semibold tracking-tight sm:text-2xl",
              stale ? "text-ink-3" : tone === "high" ? "text-late" : tone === "full" && "text-down",
            )}
          >
            {number}
            <span className="text-base font-normal text-ink-3">{unit}</span>
          </span>
          <span className={classes("h-9 min-w-0 sm:max-w-48 sm:flex-1", stale && "opacity-55")}>
            {frame ? (
              <Sparkline
                times={frame.times}
                values={headlineColumn(frame, headline.labels)}
                since={now - shownMs}
                to={now}
                top={isRatio ? 1 : null}
                tone={tone === "full" ? "var(--down)" : tone === "high" ? "var(--late)" : undefined}
                className="h-full w-full"
              />
            ) : query.error ? null : (
              <Skeleton className="h-full w-full" />
            )}
          </span>
        </div>
        {isRatio && headline.value !== null && (
          <Meter ratio={headline.value} good={headline.good} label={headline.title} className="mt-2.5" />
        )}
      </div>
    </Panel>
  );
}
