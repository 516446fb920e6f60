"use client";

import { History, SearchIcon, SearchX } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useAlertHistory } from "@/lib/alerts";
import { useNow } from "@/lib/clock";
import { useServers } from "@/lib/data";
import { useOrganization } from "@/lib/organization";
import { useRules } from "@/lib/telling";
import { counted, localInput, ofLocalInput } from "@/lib/units";
import { historyFields, useUrlState } from "@/lib/url";
import { AlertLine } from "@/ui/alert-line";
import { Button } from "@/ui/button";
import { EmptyFace } from "@/ui/faces";
import { BOX, Search } from "@/ui/field";
import { Choice } from "@/ui/inputs";
import { Panel } from "@/ui/panel";
import { Section } from "@/ui/section";
import { ALERT_STATES, SEVERITIES } from "@/ui/severity";
import { Whole } from "@/ui/whole";
import { type Filters, isFiltered, NONE, spanOf } from "./filters";

const TYPING_MS = 300;

export function HistoryView() {
  const [filters, change] = useUrlState(historyFields);
  const { q, state, severity, server, rule } = filters;
  const query = useAlertHistory({ text: q, state, severity, server, rule }, spanOf(filters));
  const alerts = query.data?.pages.flatMap((page) => page.alerts);
  return (
    <Section title="History" lead="Every alert of the last 90 days, with who was told and what came of it.">
      <FilterBar filters={filters} change={change} />
      <Whole query={{ ...query, data: alerts }} what="the history">
        {(shown) =>
          shown.length === 0 ? (
            <Nothing filters={filters} clear={() => change(NONE)} />
          ) : (
            <div className="flex flex-col gap-3">
              <Lines alerts={shown} />
              <div className="flex items-center justify-between gap-3">
                <span aria-live="polite" className="text-sm text-ink-3">
                  {query.hasNextPage ? "The newest " : ""}
                  {counted(shown.length, "alert")}
                </span>
                {query.hasNextPage && (
                  <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                    Show older ones
                  </Button>
                )}
              </div>
            </div>
          )
        }
      </Whole>
    </Section>
  );
}

function Lines({ alerts }: { alerts: Parameters<typeof AlertLine>[0]["alert"][] }) {
  const now = useNow(1000);
  return (
    <Panel className="overflow-hidden">
      <ul className="divide-y divide-line" aria-label="Alerts" data-testid="history">
        {alerts.map((alert) => (
          <AlertLine key={alert.id} alert={alert} now={now} />
        ))}
      </ul>
    </Panel>
  );
}

const TIMES: { value: Filters["time"]; label: string }[] = [
  { value: "24h", label: "Last 24 hours" },
  { value: "7d", label: "Last 7 days" },
  { value: "30d", label: "Last 30 days" },
  { value: "90d", label: "Last 90 days" },
  { value: "between", label: "Between two times" },
];

function FilterBar({ filters, change }: { filters: Filters; change: (next: Partial<Filters>) => void }) {
  const servers = useServers().data ?? [];
  const { organization } = useOrganization();
  const rules = useRules(organization?.id).data;
  const names = useMemo(() => {
    const known = [...(rules?.rules ?? []), ...(rules?.defaults ?? [])].map((each) => each.rule.name);
    return [...new Set(filters.rule ? [...known, filters.rule] : known)].sort((a, b) =>
      a.localeCompare(b, "en"),
    );
  }, [rules, filters.rule]);
  const [words, setWords] = useState(filters.q);
  useEffect(() => {
    if (words === filters.q) return;
    const timer = setTimeout(() => change({ q: words }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [words, filters.q, change]);
  // Cleared from elsewhere.
  useEffect(() => {
    if (filters.q === "") setWords("");
  }, [filters.q]);
  return (
    <search className="grid grid-cols-2 gap-2 sm:grid-cols-3 lg:grid-cols-[minmax(12rem,1fr)_repeat(5,minmax(0,auto))]">
      <Search
        icon={<SearchIcon aria-hidden />}
        aria-label="Search alerts"
        placeholder="Search titles and messages"
        className="col-span-full lg:col-span-1"
        value={words}
        maxLength={200}
        onChange={(event) => setWords(event.target.value)}
      />
      <Choice
        bare
        label="Severity"
        value={filters.severity}
        onChange={(severity) => change({ severity })}
        options={[
          { value: "all" as const, label: "Any severity" },
          ...(["down", "critical", "warning"] as const).map((each) => ({
            value: each,
            label: SEVERITIES[each].word,
          })),
        ]}
      />
      <Choice
        bare
        label="State"
        value={filters.state}
        onChange={(state) => change({ state })}
        options={[
          { value: "all" as const, label: "Any state" },
          { value: "open" as const, label: "Open" },
          ...(["firing", "acknowledged", "resolved"] as const).map((each) => ({
            value: each,
            label: ALERT_STATES[each].word,
          })),
        ]}
      />
      <Choice
        bare
        label="Server"
        className="lg:max-w-40"
        value={filters.server}
        onChange={(server) => change({ server })}
        options={[
          { value: "", label: "Any server" },
          ...servers.map(({ id, name }) => ({ value: id, label: name })),
          ...(filters.server && !servers.some(({ id }) => id === filters.server)
            ? [{ value: filters.server, label: "another server" }]
            : []),
        ]}
      />
      <Choice
        bare
        label="Rule"
        className="lg:max-w-40"
        value={filters.rule}
        onChange={(rule) => change({ rule })}
        options={[{ value: "", label: "Any rule" }, ...names.map((name) => ({ value: name, label: name }))]}
      />
      <Choice bare label="Time" value={filters.time} onChange={(time) => change({ time })} options={TIMES} />
      {filters.time === "between" && (
        <div className="col-span-full flex flex-wrap items-center gap-2 text-sm text-ink-2">
          <Instant label="From" value={filters.from} onChange={(from) => change({ from })} />
          <Instant label="To" value={filters.to} onChange={(to) => change({ to })} />
        </div>
      )}
    </search>
  );
}

function Instant({
  label,
  value,
  onChange,
}: {
  label: string;
  value: number | null;
  onChange: (value: number | null) => void;
}) {
  return (
    <label className="flex items-center gap-2">
      {label}
      <input
        type="datetime-local"
        className={`${BOX} h-8 w-auto px-2 text-sm`}
        defaultValue={value === null ? "" : localInput(value)}
        onChange={(event) => onChange(ofLocalInput(event.target.value))}
      />
    </label>
  );
}

function Nothing({ filters, clear }: { filters: Filters; clear: () => void }) {
  if (!isFiltered(filters))
    return (
      <Panel>
        <EmptyFace icon={<History aria-hidden />} title="Nothing has fired yet" className="py-20">
          Alerts stay here for 90 days, also those that nobody had to be told of.
        </EmptyFace>
      </Panel>
    );
  return (
    <Panel>
      <EmptyFace
        icon={<SearchX aria-hidden />}
        title="No alert matches"
        action={<Button onClick={clear}>Clear the filters</Button>}
      >
        Choose a longer time, or fewer conditions.
      </EmptyFace>
    </Panel>
  );
}
