"use client";

import { useQueryClient } from "@tanstack/react-query";
import { SearchIcon, SearchX, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import type { Catalogue, Server } from "@/lib/api";
import { reload } from "@/lib/cache";
import { hubNow, useNow } from "@/lib/clock";
import { useKnownMetrics, useTail, type Window } from "@/lib/data";
import type { Columns } from "@/lib/series";
import { count, counted, duration, span } from "@/lib/units";
import { serverFields, useUrlState } from "@/lib/url";
import { Button } from "@/ui/button";
import { EmptyFace } from "@/ui/faces";
import { Search } from "@/ui/field";
import { Panel } from "@/ui/panel";
import { Segmented } from "@/ui/segmented";
import { ChartCard } from "./chart-card";
import { type Group, groupsOf, withWords } from "./chart-groups";
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
/** From so many charts on, there are words to find one. */
const MANY = 10;
/** So many charts of one monitor are shown before they are asked for: learned ones may be hundreds. */
const FIRST = 24;

export function Charts({ server, catalogue }: { server: Server; catalogue: Catalogue }) {
  const [{ range: chosen, from, to, charts: asked }, change] = useUrlState(serverFields);
  const [young] = useState(() => hubNow() - server.registered_at < 30 * MINUTE);
  // The address follows a moment after each key; what is typed must not wait for it.
  const [words, setWords] = useState(asked);
  const write = (next: string) => {
    setWords(next);
    change({ charts: next });
  };
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
  const groups = useMemo(() => groupsOf(catalogue, known.data), [catalogue, known.data]);
  const shown = useMemo(() => withWords(groups, words), [groups, words]);
  // Figures that nobody declares: of a monitor that has gone, or of one so new that its declaration is not here yet.
  const cache = useQueryClient();
  const strangers = groups.find(({ gone }) => gone)?.charts.length ?? 0;
  useEffect(() => {
    if (strangers > 0) reload(cache, ["catalogue", server.id]);
  }, [cache, strangers, server.id]);
  const total = groups.reduce((sum, group) => sum + group.charts.length, 0);

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
          <span className="text-xs text-ink-3 max-xl:hidden">Drag over a chart to look closer</span>
        )}
        {groups.length > 1 && (
          <nav
            aria-label="Charts by monitor"
            className="flex min-w-0 flex-1 justify-end gap-0.5 overflow-x-auto max-sm:hidden"
          >
            {shown.map(({ monitor }) => (
              <a
                key={monitor.name}
                href={`#monitor-${monitor.name}`}
                className="rounded-md px-2 py-1 text-xs font-medium whitespace-nowrap text-ink-2 hover:bg-ink/6 hover:text-ink"
              >
                {monitor.title}
              </a>
            ))}
          </nav>
        )}
        {total > MANY && (
          <Search
            icon={<SearchIcon aria-hidden />}
            aria-label="Filter charts"
            placeholder="Filter charts"
            className="w-full sm:ml-auto sm:w-44"
            value={words}
            onChange={(event) => write(event.target.value)}
          />
        )}
      </div>
      {shown.map((group) => (
        <ChartGroup
          key={group.monitor.name}
          group={group}
          server={server}
          tail={tail}
          edge={edge}
          lengthMs={lengthMs}
          zoom={zoom}
          onZoom={(since, until) => change({ from: since, to: until }, zoom ? "replace" : "push")}
        />
      ))}
      {shown.length === 0 && groups.length > 0 && (
        <Panel>
          <EmptyFace
            icon={<SearchX aria-hidden />}
            title="No chart matches"
            action={<Button onClick={() => write("")}>Clear the filter</Button>}
          >
            None of {counted(total, "chart")} has “{words}” in its name.
          </EmptyFace>
        </Panel>
      )}
    </>
  );
}

function ChartGroup({
  group,
  server,
  tail,
  edge,
  lengthMs,
  zoom,
  onZoom,
}: {
  group: Group;
  server: Server;
  tail: readonly Columns[];
  edge: number;
  lengthMs: number;
  zoom: Window | null;
  onZoom: (since: number, to: number) => void;
}) {
  const { monitor, charts, absent, instances, gone } = group;
  const [all, setAll] = useState(false);
  // What runs no more is out of the way until somebody asks for it.
  const [open, setOpen] = useState(!gone);
  const [chosen, setChosen] = useState<string | null>(null);
  const instance = chosen !== null && instances.includes(chosen) ? chosen : null;
  const shown = all ? charts : charts.slice(0, FIRST);
  return (
    <section
      id={`monitor-${monitor.name}`}
      aria-label={monitor.title}
      data-testid="chart-group"
      className="scroll-mt-28"
    >
      <div className="mb-2.5 flex flex-wrap items-center gap-x-3 gap-y-1.5">
        <h2 className="text-lg font-semibold tracking-tight">{monitor.title}</h2>
        <span className="text-xs text-ink-3">
          {gone
            ? `${counted(charts.length, "metric")} of monitors that run no more`
            : monitor.interval_seconds > 0 && `every ${duration(monitor.interval_seconds)}`}
        </span>
        {instances.length > 1 && (
          <Segmented
            label={`Which ${monitor.title}`}
            value={instance ?? ALL}
            onChange={(next) => setChosen(next === ALL ? null : next)}
            className="max-w-full overflow-x-auto"
            options={[
              { value: ALL, label: "All" },
              ...instances.map((name) => ({ value: name, label: name })),
            ]}
          />
        )}
        {gone && (
          <Button kind="quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? "Hide" : "Show"}
          </Button>
        )}
      </div>
      {open && (
        <div className="grid grid-flow-row-dense grid-cols-1 gap-4 lg:grid-cols-2">
          {shown.map((chart) => (
            <ChartCard
              key={`${chart.title} ${chart.metrics[0]}`}
              server={server}
              monitor={monitor}
              chart={chart}
              tail={tail}
              since={zoom?.since ?? edge - lengthMs}
              to={zoom?.to ?? edge}
              lengthMs={lengthMs}
              zoom={zoom}
              onZoom={onZoom}
              instance={instance}
            />
          ))}
        </div>
      )}
      {open && charts.length > FIRST && (
        <Button className="mt-3" onClick={() => setAll(!all)}>
          {all ? "Show fewer" : `Show all ${count(charts.length)} charts`}
        </Button>
      )}
      {absent.length > 0 && absent.length <= FEW && (
        <p className="mt-3 text-xs text-ink-3">
          Nothing to measure on this server for {absent.map((chart) => chart.title).join(", ")}.
        </p>
      )}
      {absent.length > FEW && (
        <details className="mt-3 text-xs text-ink-3">
          <summary className="w-fit cursor-pointer rounded hover:text-ink">
            Nothing to measure on this server for {counted(absent.length, "other chart")}
          </summary>
          <p className="mt-1 max-w-prose">{absent.map((chart) => chart.title).join(", ")}</p>
        </details>
      )}
    </section>
  );
}

/** So many names are read at a glance. */
const FEW = 6;
/** No monitor may be called so: names have no spaces at their ends. */
const ALL = " all ";
