"use client";

import Link from "next/link";
import { useRouter } from "next/navigation";
import { Sparkline } from "@/charts/sparkline";
import { useOpenAlerts } from "@/lib/alerts";
import type { Probe, ProbeHistory } from "@/lib/api";
import { classes } from "@/lib/classes";
import { useNow } from "@/lib/clock";
import { mayWrite, useRole } from "@/lib/organization";
import { useProbe, useProbeHistory } from "@/lib/probes";
import { useTitle } from "@/lib/title";
import { ago, moment, say, span, tries } from "@/lib/units";
import { historyPath, probeFields, useUrlState } from "@/lib/url";
import { AlertLine } from "@/ui/alert-line";
import { Breadcrumb } from "@/ui/breadcrumb";
import { CheckBadge, CheckIcon } from "@/ui/check-state";
import { isMissing, Missing } from "@/ui/missing";
import { Panel } from "@/ui/panel";
import { Segmented } from "@/ui/segmented";
import { Tag } from "@/ui/tag";
import { Whole } from "@/ui/whole";
import { useProbeActions } from "./actions";
import { expiryInWords, uptimeInWords } from "./order";
import { everyInWords } from "./view";

const DAY = 86_400_000;
const RANGES = { "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY };

export function ProbeView() {
  const [{ id }] = useUrlState(probeFields);
  const query = useProbe(id);
  const name = query.data?.name;
  useTitle(name);
  if (isMissing(id, query.error))
    return (
      <Missing what="probe" back={{ label: "all probes", href: "/probes/" }}>
        It may have been deleted, or the address is not complete.
      </Missing>
    );
  return (
    <div className="mx-auto flex max-w-5xl flex-col gap-4">
      <Breadcrumb way={[{ label: "Probes", href: "/probes/" }]} here={name ?? "Probe"} />
      <Whole query={query} what="the probe">
        {(probe) => <Loaded probe={probe} />}
      </Whole>
    </div>
  );
}

function Loaded({ probe }: { probe: Probe }) {
  const router = useRouter();
  const now = useNow(1000);
  const writes = mayWrite(useRole(probe.organization_id));
  const { buttons, outcome } = useProbeActions(
    probe,
    writes,
    () => router.push(`/probes/?edit=${probe.id}`),
    () => router.replace("/probes/"),
  );
  const expiry = expiryInWords(probe.expires_at, now);
  const open = (useOpenAlerts().data?.alerts ?? []).filter((alert) => alert.probe_id === probe.id);
  return (
    <div
      className="flex flex-col gap-4"
      data-testid="probe-page"
      data-state={probe.enabled ? probe.state : "paused"}
    >
      <header className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0 flex-1 basis-72">
          <h1 className="text-xl font-semibold tracking-tight wrap-anywhere">{probe.name}</h1>
          <div className="mt-1.5 flex flex-wrap items-center gap-2 text-sm">
            {probe.enabled ? <CheckBadge state={probe.state} /> : <Tag>paused</Tag>}
            <span className="wrap-anywhere text-ink-2">{probe.target}</span>
            <span className="text-ink-3">{everyInWords(probe.interval_seconds)}</span>
            {probe.last_at !== null && <span className="text-ink-3">tried {ago(probe.last_at, now)}</span>}
            {expiry && <Tag tone="late">{expiry}</Tag>}
          </div>
          {probe.message && probe.state !== "up" && (
            <p className="mt-1.5 break-words text-ink-2">{probe.message}</p>
          )}
          {outcome}
        </div>
        {buttons}
      </header>
      {open.length > 0 && (
        <Panel className="overflow-hidden">
          <ul className="divide-y divide-line" aria-label="Open alerts">
            {open.map((alert) => (
              <AlertLine key={alert.id} alert={alert} now={now} within />
            ))}
          </ul>
        </Panel>
      )}
      <dl className="grid grid-cols-2 gap-3 sm:grid-cols-4">
        {(
          [
            ["24 hours", probe.uptime.day],
            ["7 days", probe.uptime.week],
            ["30 days", probe.uptime.month],
            ["90 days", probe.uptime.quarter],
          ] as const
        ).map(([title, share]) => (
          <Panel key={title} className="px-4 py-3">
            <dt className="text-xs text-ink-3">Up, {title}</dt>
            <dd className="text-xl font-semibold tracking-tight">{uptimeInWords(share)}</dd>
          </Panel>
        ))}
      </dl>
      <History probe={probe} />
    </div>
  );
}

function History({ probe }: { probe: Probe }) {
  const [{ range }, change] = useUrlState(probeFields);
  const query = useProbeHistory(probe.id, RANGES[range]);
  return (
    <>
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h2 className="text-base font-semibold tracking-tight">History</h2>
        <Segmented
          label="How far back"
          value={range}
          onChange={(next) => change({ range: next })}
          options={(["24h", "7d", "30d", "90d"] as const).map((value) => ({ value, label: value }))}
        />
      </div>
      <Whole query={query} what="the history">
        {(history) => (
          <>
            <Times history={history} />
            <Changes history={history} probe={probe} />
          </>
        )}
      </Whole>
    </>
  );
}

/** Where a span stands on the axis of the whole. */
function placeOf(at: number, { since, to, step_seconds }: ProbeHistory) {
  const from = Math.max(at, since);
  const end = Math.min(at + step_seconds * 1000, to);
  const share = (ms: number) => `${(100 * ms) / (to - since)}%`;
  return {
    left: share(from - since),
    width: `calc(${share(Math.max(0, end - from))} - 1px)`,
    minWidth: "2px",
  };
}

function Times({ history }: { history: ProbeHistory }) {
  const { points, since, to } = history;
  const means = points.map(({ mean }) => mean);
  const longest = Math.max(0, ...points.map(({ longest: most }) => most ?? 0));
  const known = means.filter((mean) => mean !== null);
  const usual = known.length > 0 ? known.reduce((sum, mean) => sum + mean, 0) / known.length : null;
  return (
    <Panel className="px-4 py-3">
      <div className="mb-2 flex flex-wrap items-baseline justify-between gap-x-4 text-sm">
        <h3 className="font-medium">Response time</h3>
        <span className="text-ink-3">
          {usual === null ? "no answers" : `usually ${say("s", usual)}, at most ${say("s", longest)}`}
        </span>
      </div>
      <Sparkline
        times={points.map(({ at }) => at)}
        values={means}
        since={since}
        to={to}
        top={null}
        className="h-28 w-full"
      />
      <ol aria-label="Uptime over time" className="relative mt-2 h-4 bg-ink/6">
        {points.map(({ at, uptime, tries: many }) => (
          <li
            key={at}
            title={`${span(at, at + history.step_seconds * 1000)}: up ${uptimeInWords(uptime)} of ${tries(many)}`}
            style={placeOf(at, history)}
            className={classes(
              "absolute inset-y-0",
              uptime === null
                ? "bg-ink/15"
                : uptime === 1
                  ? "bg-up/60"
                  : uptime > 0.5
                    ? "bg-late"
                    : "bg-down",
            )}
          />
        ))}
      </ol>
      <p className="mt-1 flex justify-between text-2xs text-ink-3">
        <span>{moment(since)}</span>
        <span>{moment(to)}</span>
      </p>
    </Panel>
  );
}

function Changes({ history, probe }: { history: ProbeHistory; probe: Probe }) {
  return (
    <Panel className="overflow-hidden">
      <div className="flex items-center justify-between gap-3 border-b border-line px-4 py-2.5">
        <h3 className="text-base font-semibold tracking-tight">Changes</h3>
        <Link
          href={historyPath({ q: probe.name })}
          className="text-sm font-medium text-accent-ink underline-offset-4 hover:underline"
        >
          Alerts
        </Link>
      </div>
      {history.changes.length === 0 ? (
        <p className="px-4 py-4 text-sm text-ink-2">Nothing changed in this time.</p>
      ) : (
        <ul className="divide-y divide-line" aria-label="Changes" data-testid="probe-changes">
          {history.changes.map((change) => (
            <li key={`${change.at} ${change.state}`} className="flex gap-3 px-4 py-2 text-sm">
              <CheckIcon state={change.state} className="mt-0.5" />
              <span className="min-w-0 flex-1 break-words">
                {change.message || (change.state === "up" ? "Up" : change.reason || change.state)}
              </span>
              <span className="text-xs whitespace-nowrap text-ink-3">{moment(change.at)}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
