"use client";

import { Activity, ArrowLeft, CircleOff, ClockAlert, Sparkles, Unplug, X } from "lucide-react";
import Link from "next/link";
import { useEffect, useMemo, useState } from "react";
import { type Catalogue, type ChartFacts, Problem, type Server } from "@/lib/api";
import { hubNow, useNow } from "@/lib/clock";
import { useCatalogue, useKnownMetrics, useServer, useTail } from "@/lib/data";
import { ago, duration, moment, span } from "@/lib/units";
import { serverFields, useUrlState } from "@/lib/url";
import { Button } from "@/ui/button";
import { EmptyFace, ErrorFace, Loading, Skeleton } from "@/ui/faces";
import { Banner, Panel } from "@/ui/panel";
import { Segmented } from "@/ui/segmented";
import { ChartCard } from "./chart-card";
import { ServerHeader } from "./header";
import { HeadlineTiles } from "./tiles";

const MINUTE = 60_000;
const RANGES = {
  "15m": { name: "last 15 minutes", ms: 15 * MINUTE },
  "1h": { name: "last hour", ms: 60 * MINUTE },
  "3h": { name: "last 3 hours", ms: 180 * MINUTE },
  "6h": { name: "last 6 hours", ms: 360 * MINUTE },
  "12h": { name: "last 12 hours", ms: 720 * MINUTE },
  "24h": { name: "last 24 hours", ms: 1440 * MINUTE },
} as const;
type RangeName = keyof typeof RANGES;
const RANGE_OPTIONS = (Object.keys(RANGES) as RangeName[]).map((value) => ({
  value,
  label: value,
  // What is read aloud begins with what is written, so that it can be spoken too.
  name: `${value}, ${RANGES[value].name}`,
}));

export function ServerView() {
  const [{ id }] = useUrlState(serverFields);
  const server = useServer(id);
  const catalogue = useCatalogue(id);

  const name = server.data?.name;
  useEffect(() => {
    if (name) document.title = `${name} · Twinwatch`;
  }, [name]);

  if (id === "" || (server.error instanceof Problem && server.error.status === 404))
    return (
      <Panel>
        <EmptyFace
          icon={<CircleOff aria-hidden />}
          title="There is no such server"
          className="py-20"
          action={
            <Button asChild kind="primary">
              <Link href="/">
                <ArrowLeft aria-hidden />
                To your servers
              </Link>
            </Button>
          }
        >
          It may have been deleted, or the address is not complete.
        </EmptyFace>
      </Panel>
    );
  if (server.data === undefined)
    return server.error ? (
      <Panel>
        <ErrorFace problem={server.error} retry={() => void server.refetch()} />
      </Panel>
    ) : (
      <ServerLoading />
    );

  const unknown = catalogue.error instanceof Problem && catalogue.error.status === 404;
  return (
    <div
      className="flex flex-col gap-5"
      data-testid="server"
      data-server-id={id}
      data-state={server.data.state}
    >
      <ServerHeader server={server.data} />
      <Silence server={server.data} />
      {catalogue.data ? (
        catalogue.data.monitors.length > 0 ? (
          <Charts server={server.data} catalogue={catalogue.data} />
        ) : (
          <NoFigures server={server.data} />
        )
      ) : unknown ? (
        <NoFigures server={server.data} />
      ) : catalogue.error ? (
        <Panel>
          <ErrorFace problem={catalogue.error} retry={() => void catalogue.refetch()} />
        </Panel>
      ) : (
        <ChartsLoading />
      )}
    </div>
  );
}

/** Says calmly why the figures below are not the present ones. */
function Silence({ server }: { server: Server }) {
  const now = useNow(1000);
  const heard = server.last_heartbeat_at;
  if (server.state === "late" && heard !== null)
    return (
      <Banner tone="late" icon={<ClockAlert aria-hidden />} testId="stale">
        <strong className="font-medium">Heard {ago(heard, now)}.</strong>{" "}
        <span className="text-ink-2">
          The next heartbeat is overdue. What you see is the last that is known.
        </span>
      </Banner>
    );
  if (server.state === "down" && heard !== null)
    return (
      <Banner tone="down" icon={<Unplug aria-hidden />} testId="stale">
        <strong className="font-medium">No sign of life for {duration((now - heard) / 1000)}.</strong>{" "}
        <span className="text-ink-2">
          Last heard {moment(heard)}. The agent keeps 24 hours and sends them as soon as it reaches the hub
          again.
        </span>
      </Banner>
    );
  const sampled = server.last_sample_at;
  if (server.state === "up" && sampled !== null && now - sampled > 3 * MINUTE)
    return (
      <Banner tone="late" icon={<Activity aria-hidden />} testId="stale">
        <strong className="font-medium">
          The server is up, but its figures are from {ago(sampled, now)}.
        </strong>{" "}
        <span className="text-ink-2">The agent may be catching up, or its monitors fail.</span>
      </Banner>
    );
  return null;
}

function Charts({ server, catalogue }: { server: Server; catalogue: Catalogue }) {
  const [{ range: chosen, from, to }, change] = useUrlState(serverFields);
  const [young] = useState(() => hubNow() - server.registered_at < 30 * MINUTE);
  const range = chosen === "auto" ? (young ? "15m" : "1h") : chosen;
  const lengthMs = RANGES[range].ms;
  const known = useKnownMetrics(server.id);
  const now = useNow(Math.min(MINUTE, Math.max(2000, lengthMs / 300)));
  const tail = useTail(server.id);
  const zoom = useMemo(
    () => (from !== null && to !== null && to > from ? { since: from, to } : null),
    [from, to],
  );
  const edge = now || hubNow();
  const monitors = catalogue.monitors
    .filter((monitor) => monitor.charts.length > 0)
    .map((monitor) => {
      // What this server never sent (no swap, no pressure files) is named below instead of drawn empty.
      const sent = (chart: ChartFacts) =>
        known.data === undefined ||
        known.data.size === 0 ||
        chart.metrics.some((metric) => known.data.has(metric));
      return {
        monitor,
        charts: monitor.charts.filter(sent),
        absent: monitor.charts.filter((chart) => !sent(chart)),
      };
    });

  return (
    <>
      <HeadlineTiles server={server} catalogue={catalogue} tail={tail} now={edge} />
      <div className="sticky top-13 z-20 -mx-4 flex flex-wrap items-center gap-2 border-b border-line bg-canvas/90 px-4 py-2 backdrop-blur-md sm:-mx-6 sm:px-6">
        <Segmented
          label="Time range"
          value={zoom ? null : range}
          onChange={(next) => change({ range: next, from: null, to: null })}
          options={RANGE_OPTIONS}
          className="max-sm:w-full"
        />
        {zoom ? (
          <Button onClick={() => change({ from: null, to: null })} data-testid="reset-zoom">
            <span className="font-normal text-ink-2">{span(zoom.since, zoom.to)}</span>
            <X aria-hidden />
            <span className="sr-only">Reset the zoom</span>
          </Button>
        ) : (
          <span className="text-xs text-ink-3 max-lg:hidden">Drag over a chart to look closer</span>
        )}
        {monitors.length > 1 && (
          <nav aria-label="Monitors" className="ml-auto flex gap-0.5 max-sm:hidden">
            {monitors.map(({ monitor }) => (
              <a
                key={monitor.name}
                href={`#monitor-${monitor.name}`}
                className="rounded-md px-2 py-1 text-xs font-medium text-ink-2 hover:bg-ink/6 hover:text-ink"
              >
                {monitor.title}
              </a>
            ))}
          </nav>
        )}
      </div>
      {monitors.map(({ monitor, charts, absent }) => (
        <section
          key={monitor.name}
          id={`monitor-${monitor.name}`}
          aria-label={monitor.title}
          className="scroll-mt-28"
        >
          <div className="mb-2.5 flex items-baseline gap-2">
            <h2 className="text-lg font-semibold tracking-tight">{monitor.title}</h2>
            {monitor.interval_seconds > 0 && (
              <span className="text-xs text-ink-3">every {duration(monitor.interval_seconds)}</span>
            )}
          </div>
          <div className="grid grid-flow-row-dense grid-cols-1 gap-4 lg:grid-cols-2">
            {charts.map((chart) => (
              <ChartCard
                key={chart.title}
                server={server}
                monitor={monitor}
                chart={chart}
                tail={tail}
                since={zoom?.since ?? edge - lengthMs}
                to={zoom?.to ?? edge}
                lengthMs={lengthMs}
                zoom={zoom}
                onZoom={(since, until) => change({ from: since, to: until }, zoom ? "replace" : "push")}
              />
            ))}
          </div>
          {absent.length > 0 && (
            <p className="mt-3 text-xs text-ink-3">
              Nothing to measure on this server for {absent.map((chart) => chart.title).join(", ")}.
            </p>
          )}
        </section>
      ))}
    </>
  );
}

function NoFigures({ server }: { server: Server }) {
  return (
    <Panel>
      <EmptyFace icon={<Sparkles aria-hidden />} title="No figures yet" className="py-20">
        {server.state === "new"
          ? "The agent is registered and will send its first samples within half a minute. They appear here by themselves."
          : "The agent has not said what it measures. If this stays, look at its log on the server."}
      </EmptyFace>
    </Panel>
  );
}

function ServerLoading() {
  return (
    <Loading what="the server" className="flex flex-col gap-5">
      <div className="flex flex-col gap-2.5">
        <Skeleton className="h-7 w-56" />
        <Skeleton className="h-4 w-80 max-w-full" />
      </div>
      <ChartsLoading />
    </Loading>
  );
}

const PLACES = ["a", "b", "c", "d"];

function ChartsLoading() {
  return (
    <Loading what="charts" className="flex flex-col gap-5">
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        {PLACES.map((place) => (
          <Skeleton key={place} className="h-[104px] rounded-xl" />
        ))}
      </div>
      <div className="grid grid-cols-1 gap-4 lg:grid-cols-2">
        {PLACES.map((place) => (
          <Skeleton key={place} className="h-[286px] rounded-xl" />
        ))}
      </div>
    </Loading>
  );
}
