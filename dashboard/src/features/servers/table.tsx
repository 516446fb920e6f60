"use client";

import { ArrowDown, ArrowUp, Bell } from "lucide-react";
import Link from "next/link";
import { Sparkline } from "@/charts/sparkline";
import { useOpenOf } from "@/lib/alerts";
import type { CheckCounts, Headline, Server } from "@/lib/api";
import { classes } from "@/lib/classes";
import { hubNow, useNow } from "@/lib/clock";
import { useRange } from "@/lib/data";
import { useSeen } from "@/lib/seen";
import { headlineColumn, withGaps } from "@/lib/series";
import { SPAN_MS, shownSpan } from "@/lib/span";
import { ago, count, counted, measure, moment } from "@/lib/units";
import { serverPath } from "@/lib/url";
import { CHECK_STATES, CheckIcon } from "@/ui/check-state";
import { Skeleton } from "@/ui/faces";
import { toneOf } from "@/ui/meter";
import { Panel } from "@/ui/panel";
import { STATES, StateIcon } from "@/ui/state";
import { Tag } from "@/ui/tag";

/** One row per server; below the medium width each row folds into a card. */
export function ServerTable({
  servers,
  titles,
  sort,
  onSort,
  roomy,
}: {
  servers: Server[];
  titles: string[];
  sort: string;
  onSort: (sort: string) => void;
  /** A few servers may take more room each. */
  roomy: boolean;
}) {
  const columns = {
    "--columns": `minmax(13rem,1.5fr) repeat(${titles.length}, minmax(9.5rem,1fr)) 6.5rem`,
  } as React.CSSProperties;
  return (
    <Panel className="overflow-hidden">
      <div role="table" aria-label="Servers" style={columns}>
        <div role="rowgroup" className="hidden md:block">
          <div
            role="row"
            className="grid h-9 grid-cols-(--columns) items-center gap-x-6 border-b border-line bg-sunken/60 px-4 text-xs font-medium text-ink-2"
          >
            <SortHead title="Server" name="name" alternate="state" sort={sort} onSort={onSort} />
            {titles.map((title) => (
              <SortHead key={title} title={title} name={title} sort={sort} onSort={onSort} />
            ))}
            <SortHead title="Heard" name="heard" sort={sort} onSort={onSort} end />
          </div>
        </div>
        <div role="rowgroup" className="divide-y divide-line">
          {servers.map((server) => (
            <ServerRow key={server.id} server={server} titles={titles} roomy={roomy} />
          ))}
        </div>
      </div>
    </Panel>
  );
}

function SortHead({
  title,
  name,
  alternate,
  sort,
  onSort,
  end,
}: {
  title: string;
  name: string;
  alternate?: string;
  sort: string;
  onSort: (sort: string) => void;
  end?: boolean;
}) {
  const key = sort.replace(/^-/, "");
  const active = key === name;
  const turned = sort.startsWith("-");
  // Names run upward by nature, figures downward.
  const rising = (name === "name") !== turned;
  const next = !active ? name : !turned ? `-${name}` : (alternate ?? "state");
  return (
    <div
      role="columnheader"
      aria-sort={active ? (rising ? "ascending" : "descending") : "none"}
      className={classes("flex", end && "justify-end")}
    >
      <button
        type="button"
        onClick={() => onSort(next)}
        className={classes(
          "-mx-1.5 flex items-center gap-1 rounded px-1.5 py-0.5 hover:text-ink",
          active && "text-ink",
        )}
      >
        {title}
        {active &&
          (rising ? (
            <ArrowUp className="size-3" aria-hidden />
          ) : (
            <ArrowDown className="size-3" aria-hidden />
          ))}
      </button>
    </div>
  );
}

function ServerRow({ server, titles, roomy }: { server: Server; titles: string[]; roomy: boolean }) {
  const [row, seen] = useSeen<HTMLDivElement>();
  const now = useNow(1000);
  const state = STATES[server.state];
  const silent = server.state === "down" || server.state === "late";
  const os = server.host["os.description"] ?? server.host["os.type"];
  return (
    <div
      ref={row}
      role="row"
      data-testid="server-row"
      data-server-id={server.id}
      data-state={server.state}
      data-checks-down={server.checks.down ?? 0}
      className={classes(
        "relative grid grid-cols-1 gap-x-6 gap-y-3 px-4 py-3 transition-colors hover:bg-ink/[0.025] md:grid-cols-(--columns) md:items-center",
        roomy ? "md:min-h-[112px]" : "md:min-h-[68px]",
      )}
    >
      <div role="cell" className="flex min-w-0 items-center gap-3">
        <StateIcon state={server.state} className="size-[18px]" />
        <div className="min-w-0 flex-1">
          <div className="flex items-baseline gap-2">
            <Link
              href={serverPath(server.id)}
              className="truncate font-medium after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-accent"
            >
              {server.name}
            </Link>
            <span className={classes("text-xs font-medium", state.text)}>{state.word}</span>
            <ChecksTag counts={server.checks} />
            <AlertsTag serverId={server.id} />
          </div>
          <div className="truncate text-xs text-ink-3">
            {os ? shortened(os, server) : "Waiting for its first figures"}
          </div>
        </div>
        <span className={classes("text-xs md:hidden", silent ? state.text : "text-ink-3")}>
          {ago(server.last_heartbeat_at, now)}
        </span>
      </div>
      <div className="contents max-md:grid max-md:grid-cols-3 max-md:gap-3">
        {titles.map((title) => (
          <HeadlineCell
            key={title}
            title={title}
            server={server}
            headline={server.headlines.find((each) => each.title === title)}
            load={seen}
            roomy={roomy}
          />
        ))}
      </div>
      <div
        role="cell"
        className={classes(
          "hidden text-right text-xs md:block",
          silent ? `font-medium ${state.text}` : "text-ink-3",
        )}
        title={server.last_heartbeat_at === null ? undefined : moment(server.last_heartbeat_at)}
      >
        {ago(server.last_heartbeat_at, now)}
      </div>
    </div>
  );
}

/** How many alerts are open, in the colour of the gravest; nothing while there is none. */
function AlertsTag({ serverId }: { serverId: string }) {
  const open = useOpenOf(serverId);
  const gravest = open[0];
  if (gravest === undefined) return null;
  return (
    <Tag
      testId="server-alerts"
      tone={gravest.severity === "warning" ? "late" : "down"}
      icon={<Bell aria-hidden />}
      title={open
        .slice(0, 5)
        .map(({ title }) => title)
        .join("\n")}
    >
      {counted(open.length, "alert")}
    </Tag>
  );
}

/** How many checks are not as they should be; nothing while all is well. */
function ChecksTag({ counts }: { counts: CheckCounts }) {
  return (["down", "degraded"] as const).map(
    (state) =>
      counts[state] > 0 && (
        <span
          key={state}
          data-checks={state}
          title={`${counted(counts[state], "check")} ${CHECK_STATES[state].word.toLowerCase()}`}
          className={classes(
            "inline-flex shrink-0 items-center gap-1 self-center rounded-full border px-1.5 text-2xs leading-4 font-medium",
            CHECK_STATES[state].soft,
            CHECK_STATES[state].text,
          )}
        >
          <CheckIcon state={state} className="size-3" />
          {count(counts[state])} {CHECK_STATES[state].word.toLowerCase()}
        </span>
      ),
  );
}

function shortened(os: string, server: Server): string {
  const arch = server.host["host.arch"];
  const name = os.replace(/\s*\(.*\)$/, "").replace(/^Debian GNU\/Linux/, "Debian");
  return arch ? `${name} · ${arch}` : name;
}

function HeadlineCell({
  title,
  server,
  headline,
  load,
  roomy,
}: {
  title: string;
  server: Server;
  headline: Headline | undefined;
  load: boolean;
  roomy: boolean;
}) {
  const metric = headline?.metric ?? "";
  const now = useNow(15_000);
  const range = useRange({
    serverId: server.id,
    metrics: [metric],
    lengthMs: SPAN_MS,
    window: null,
    points: 120,
    now: hubNow,
    enabled: load && headline !== undefined && server.state !== "new",
    refetchMs: 60_000,
  });
  if (!headline || headline.value === null)
    return (
      <div role="cell" className="flex items-center gap-3 text-ink-3">
        <span className={classes("text-sm", roomy ? "md:w-18" : "md:w-14")}>
          <span className="mb-0.5 block text-2xs md:hidden">{title}</span>–
        </span>
        <span className="hidden h-px flex-1 bg-line md:block" />
      </div>
    );
  const { number, unit } = measure(headline.unit, headline.value);
  const stale = server.state === "down" || server.state === "late";
  const tone = headline.unit === "1" ? toneOf(headline.value, headline.good) : "calm";
  const frame = range.data ? withGaps(range.data, 30_000) : null;
  const to = Math.max(now, frame?.times.at(-1) ?? 0);
  const which = Object.values(headline.labels).join(", ");
  return (
    <div
      role="cell"
      data-headline={title}
      data-value={headline.value}
      title={which ? `${title}: highest of all, ${which}` : undefined}
      className="flex min-w-0 flex-col gap-1 md:flex-row md:items-center md:gap-3"
    >
      <span className={classes("shrink-0", roomy ? "md:w-18" : "md:w-14")}>
        <span className="mb-0.5 block text-2xs text-ink-3 md:hidden">{title}</span>
        <span
          className={classes(
            "font-medium tracking-tight",
            roomy ? "text-lg md:text-xl" : "text-lg md:text-base",
            stale ? "text-ink-3" : tone === "high" ? "text-late" : tone === "full" && "text-down",
          )}
        >
          {number}
          <span className="text-xs font-normal text-ink-3">{unit}</span>
        </span>
      </span>
      <span
        className={classes(
          "min-w-0 flex-1 max-md:h-8 max-md:w-full max-md:flex-none",
          roomy ? "md:h-14" : "md:h-8",
          stale && "opacity-60",
        )}
      >
        {frame === null ? (
          range.error ? (
            <span className="text-2xs text-ink-3">no chart</span>
          ) : (
            <Skeleton className="h-full w-full" />
          )
        ) : (
          <Sparkline
            times={frame.times}
            values={headlineColumn(frame, headline.labels)}
            since={to - shownSpan(server, to)}
            to={to}
            top={headline.unit === "1" ? 1 : null}
            tone={tone === "full" ? "var(--down)" : tone === "high" ? "var(--late)" : undefined}
            className="h-full w-full"
          />
        )}
      </span>
    </div>
  );
}
