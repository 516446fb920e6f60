"use client";

import { Activity, ClockAlert, Sparkles, Unplug } from "lucide-react";
import { Problem, type Server } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { useCatalogue, useServer } from "@/lib/data";
import { useWatched } from "@/lib/standing";
import { useTitle } from "@/lib/title";
import { ago, duration, moment } from "@/lib/units";
import { serverFields, useUrlState } from "@/lib/url";
import { EmptyFace, ErrorFace, Loading, Skeleton } from "@/ui/faces";
import { isMissing, Missing } from "@/ui/missing";
import { Banner, Panel } from "@/ui/panel";
import { ServerAlerts } from "./alerts";
import { Charts } from "./charts";
import { ServerHeader } from "./header";
import { Standing } from "./panels";

const MINUTE = 60_000;
export function ServerView() {
  const [{ id }] = useUrlState(serverFields);
  const server = useServer(id);
  const catalogue = useCatalogue(id);
  useWatched(id);

  const name = server.data?.name;
  useTitle(name);

  if (isMissing(id, server.error))
    return (
      <Missing what="server" back={{ label: "your servers", href: "/" }}>
        It may have been deleted, or the address is not complete.
      </Missing>
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
      <ServerAlerts server={server.data} />
      <Standing server={server.data} />
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
