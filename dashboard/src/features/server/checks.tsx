"use client";

import { SearchIcon } from "lucide-react";
import { useMemo, useState } from "react";
import type { Check, CheckState } from "@/lib/api";
import { classes } from "@/lib/classes";
import { useNow } from "@/lib/clock";
import { ago, count, moment } from "@/lib/units";
import { CHECK_STATES, CheckBadge, CheckIcon } from "@/ui/check-state";
import { Disclosure } from "@/ui/disclosure";
import { Search } from "@/ui/field";
import { Segmented } from "@/ui/segmented";
import { countsInWords, countsOf, picked, worstFirst } from "./standing";

/** From so many checks on, there are means to find one. */
const MANY = 8;
/** So many of one kind, in trouble or not, are shown before all are asked for. */
const FIRST = 40;

/** The named states of a server, worst first; one line while all is well. */
export function ChecksPanel({ checks, stale }: { checks: readonly Check[]; stale: boolean }) {
  const counts = useMemo(() => countsOf(checks), [checks]);
  const well = counts.up === checks.length;
  const [chosen, setChosen] = useState<boolean | null>(null);
  const worst = (["down", "degraded", "unknown"] as const).find((state) => counts[state] > 0) ?? "up";
  return (
    <Disclosure
      title="Checks"
      testId="checks"
      open={checks.length > 0 && (chosen ?? !well)}
      onToggle={setChosen}
      summary={
        <span className="flex items-center gap-1.5">
          {checks.length > 0 && <CheckIcon state={worst} />}
          <span data-testid="checks-summary">{countsInWords(counts)}</span>
          {stale && checks.length > 0 && <span className="text-ink-3">as last reported</span>}
        </span>
      }
    >
      <CheckList checks={checks} stale={stale} />
    </Disclosure>
  );
}

function CheckList({ checks, stale }: { checks: readonly Check[]; stale: boolean }) {
  const [words, setWords] = useState("");
  const [state, setState] = useState<CheckState | "all">("all");
  const [all, setAll] = useState(false);
  const now = useNow(1000);
  const ordered = useMemo(() => worstFirst(picked(checks, words, state)), [checks, words, state]);
  const counts = countsOf(checks);
  // Among trouble, what is up stays out of the way until somebody asks for it.
  const trouble = ordered.filter((check) => check.state !== "up");
  const first = trouble.length > 0 && ordered.length > MANY ? trouble : ordered;
  const shown = all ? ordered : first.slice(0, FIRST);
  return (
    <div>
      {checks.length > MANY && (
        <div className="flex flex-wrap items-center gap-2 px-4 py-2.5">
          <Search
            icon={<SearchIcon aria-hidden />}
            aria-label="Filter checks"
            placeholder="Filter by name or message"
            className="w-full sm:w-64"
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
          <Segmented
            label="Filter checks by state"
            value={state}
            onChange={setState}
            className="max-sm:w-full"
            options={[
              { value: "all" as const, label: "All" },
              ...(["down", "degraded", "unknown", "up"] as const)
                .filter((each) => counts[each] > 0)
                .map((each) => ({
                  value: each,
                  label: `${CHECK_STATES[each].word} ${count(counts[each])}`,
                })),
            ]}
          />
        </div>
      )}
      <ul aria-label="Checks" className="divide-y divide-line">
        {shown.map((check) => (
          <CheckRow key={check.name} check={check} now={now} stale={stale} />
        ))}
      </ul>
      {ordered.length === 0 && <p className="px-4 py-6 text-center text-sm text-ink-3">No check matches.</p>}
      {(all ? ordered.length > MANY : shown.length < ordered.length) && (
        <button
          type="button"
          onClick={() => setAll(!all)}
          className="w-full rounded-b-xl border-t border-line px-4 py-2.5 text-sm font-medium text-accent-ink hover:bg-ink/[0.025]"
        >
          {all
            ? "Show fewer"
            : shown.length === trouble.length
              ? `Show the ${count(ordered.length - shown.length)} that are up, too`
              : `Show all ${count(ordered.length)}`}
        </button>
      )}
    </div>
  );
}

function CheckRow({ check, now, stale }: { check: Check; now: number; stale: boolean }) {
  return (
    <li
      data-testid="check"
      data-check={check.name}
      data-state={check.state}
      className={classes(
        "grid grid-cols-[6.75rem_minmax(0,1fr)] gap-x-3 gap-y-1 px-4 py-2.5 sm:grid-cols-[6.75rem_minmax(0,1fr)_auto]",
        stale && "opacity-75",
      )}
    >
      <CheckBadge state={check.state} className="justify-self-start" />
      <div className="min-w-0">
        <p className="flex flex-wrap items-baseline gap-x-2">
          <span className="font-medium break-all">{check.name}</span>
          {check.reason && (
            <code className="rounded bg-ink/6 px-1.5 font-mono text-2xs text-ink-2">{check.reason}</code>
          )}
        </p>
        {check.message && <p className="text-sm text-pretty break-words text-ink-2">{check.message}</p>}
      </div>
      {check.since > 0 && (
        <span
          className="text-xs whitespace-nowrap text-ink-3 max-sm:col-start-2 sm:pt-1 sm:text-right"
          title={`Since ${moment(check.since)}`}
        >
          {ago(check.since, now)}
        </span>
      )}
    </li>
  );
}
