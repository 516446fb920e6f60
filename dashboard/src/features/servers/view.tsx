"use client";

import { Plus, SearchIcon, SearchX, ServerIcon } from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import type { Server, ServerState } from "@/lib/api";
import { classes } from "@/lib/classes";
import { useServers } from "@/lib/data";
import { count, counted } from "@/lib/units";
import { serversFields, useUrlState } from "@/lib/url";
import { Button } from "@/ui/button";
import { EmptyFace, ErrorFace, Loading, Skeleton } from "@/ui/faces";
import { Search } from "@/ui/field";
import { Panel } from "@/ui/panel";
import { STATES, StateIcon } from "@/ui/state";
import { matching, sorted, titlesOf } from "./order";
import { ServerTable } from "./table";

export function ServersView() {
  const query = useServers();
  const servers = query.data;
  return (
    <>
      <div className="mb-4 flex min-h-8 items-center justify-between gap-3">
        <h1 className="text-xl font-semibold tracking-tight">Servers</h1>
        {servers && servers.length > 0 && (
          <Button asChild kind="primary">
            <Link href="/add/">
              <Plus aria-hidden />
              Add a server
            </Link>
          </Button>
        )}
      </div>
      {servers === undefined ? (
        query.error ? (
          <Panel>
            <ErrorFace problem={query.error} retry={() => void query.refetch()} />
          </Panel>
        ) : (
          <ServersLoading />
        )
      ) : servers.length === 0 ? (
        <NoServers />
      ) : (
        <Servers servers={servers} />
      )}
    </>
  );
}

function Servers({ servers }: { servers: Server[] }) {
  const [{ q, state, sort }, change] = useUrlState(serversFields);
  // The address follows a moment after each key; what is typed must not wait for it.
  const [words, setWords] = useState(q);
  const write = (next: string) => {
    setWords(next);
    change({ q: next });
  };
  const titles = titlesOf(servers);
  const shown = sorted(matching(servers, words, state), sort);
  return (
    <div className="flex flex-col gap-4">
      <Totals servers={servers} chosen={state} choose={(next) => change({ state: next })} />
      {servers.length > 3 && (
        <div className="flex items-center gap-3">
          <Search
            icon={<SearchIcon aria-hidden />}
            aria-label="Filter servers"
            placeholder="Filter by name, tag or system"
            className="w-full sm:w-72"
            value={words}
            onChange={(event) => write(event.target.value)}
          />
          <span aria-live="polite" className="hidden text-sm text-ink-3 sm:block">
            {shown.length === servers.length
              ? counted(servers.length, "server")
              : `${count(shown.length)} of ${counted(servers.length, "server")}`}
          </span>
        </div>
      )}
      {shown.length === 0 ? (
        <Panel>
          <EmptyFace
            icon={<SearchX aria-hidden />}
            title="No server matches"
            action={
              <Button
                onClick={() => {
                  setWords("");
                  change({ q: "", state: "all" });
                }}
              >
                Clear the filter
              </Button>
            }
          >
            {words ? (
              <>
                Nothing called “{words}”{state !== "all" && ` is ${STATES[state].word.toLowerCase()}`}.
              </>
            ) : (
              state !== "all" && `No server is ${STATES[state].word.toLowerCase()} at the moment.`
            )}
          </EmptyFace>
        </Panel>
      ) : (
        <ServerTable
          servers={shown}
          titles={titles}
          sort={sort}
          onSort={(next) => change({ sort: next })}
          roomy={servers.length <= 3}
        />
      )}
    </div>
  );
}

const ORDER: ServerState[] = ["up", "late", "down", "new"];

/** How the fleet fares at a glance; each figure is also the filter for it. */
function Totals({
  servers,
  chosen,
  choose,
}: {
  servers: Server[];
  chosen: ServerState | "all";
  choose: (state: ServerState | "all") => void;
}) {
  const tally = (state: ServerState) => servers.filter((server) => server.state === state).length;
  return (
    <div role="group" aria-label="Filter by state" className="grid grid-cols-4 gap-2 sm:gap-3">
      {ORDER.map((state) => {
        const number = tally(state);
        const pressed = chosen === state;
        return (
          <button
            key={state}
            type="button"
            aria-pressed={pressed}
            title={STATES[state].meaning}
            data-total={state}
            onClick={() => choose(pressed ? "all" : state)}
            className={classes(
              "flex items-center gap-2.5 rounded-xl border bg-surface px-3 py-2.5 text-left shadow-card transition-colors sm:px-4 sm:py-3",
              pressed ? "border-accent ring-1 ring-accent" : "border-line hover:border-line-strong",
            )}
          >
            <StateIcon
              state={state}
              className={classes("size-5 max-sm:hidden", number === 0 && "opacity-40 grayscale")}
            />
            <span className="flex min-w-0 flex-col sm:flex-row sm:items-baseline sm:gap-2">
              <span className={classes("text-xl font-semibold tracking-tight", number === 0 && "text-ink-3")}>
                {count(number)}
              </span>
              <span className="flex items-center gap-1 text-sm text-ink-2">
                <StateIcon
                  state={state}
                  className={classes("size-3.5 sm:hidden", number === 0 && "opacity-40 grayscale")}
                />
                {STATES[state].word}
              </span>
            </span>
          </button>
        );
      })}
    </div>
  );
}

function NoServers() {
  return (
    <Panel>
      <EmptyFace
        icon={<ServerIcon aria-hidden />}
        title="Nothing is being watched yet"
        action={
          <Button asChild kind="primary" size="lg">
            <Link href="/add/">
              <Plus aria-hidden />
              Add your first server
            </Link>
          </Button>
        }
        className="py-20"
      >
        Put the agent on a server with one command. Its figures are here a few seconds later.
      </EmptyFace>
    </Panel>
  );
}

function ServersLoading() {
  return (
    <Loading what="servers" className="flex flex-col gap-4">
      <div className="grid grid-cols-4 gap-2 sm:gap-3">
        {ORDER.map((state) => (
          <Skeleton key={state} className="h-[54px] rounded-xl" />
        ))}
      </div>
      <Panel className="divide-y divide-line overflow-hidden">
        {ORDER.map((state) => (
          <div key={state} className="flex h-[72px] items-center gap-6 px-4">
            <div className="flex flex-1 flex-col gap-2">
              <Skeleton className="h-4 w-40" />
              <Skeleton className="h-3 w-28" />
            </div>
            <Skeleton className="hidden h-8 w-36 md:block" />
            <Skeleton className="hidden h-8 w-36 md:block" />
            <Skeleton className="hidden h-8 w-36 md:block" />
          </div>
        ))}
      </Panel>
    </Loading>
  );
}
