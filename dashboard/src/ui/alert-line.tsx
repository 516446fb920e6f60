"use client";

import { BellOff, Link2Off, UserCheck, Waves } from "lucide-react";
import Link from "next/link";
import type { Alert } from "@/lib/api";
import { classes } from "@/lib/classes";
import { ago, duration, moment } from "@/lib/units";
import { alertPath } from "@/lib/url";
import { ALERT_STATES, SEVERITIES, SeverityIcon } from "./severity";
import { Tag } from "./tag";

/** One alert in a list; the whole line leads to it. */
export function AlertLine({
  alert,
  now,
  within = false,
}: {
  alert: Alert;
  now: number;
  /** On its server's own page, or under its server: the name need not be said again. */
  within?: boolean;
}) {
  const over = alert.state === "resolved";
  return (
    <li
      data-testid="alert-line"
      data-alert-id={alert.id}
      data-state={alert.state}
      data-severity={alert.severity}
      className="relative flex gap-3 px-4 py-3 transition-colors hover:bg-ink/[0.025]"
    >
      <SeverityIcon
        severity={alert.severity}
        className={classes("mt-0.5 size-[18px]", over && "opacity-50 grayscale")}
      />
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-baseline gap-x-2 gap-y-0.5">
          <Link
            href={alertPath(alert.id)}
            className={classes(
              "min-w-0 font-medium wrap-anywhere after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-accent",
              over && "text-ink-2",
            )}
          >
            <span className="sr-only">{SEVERITIES[alert.severity].word}: </span>
            {alert.title}
          </Link>
          {!within && <span className="text-sm wrap-anywhere text-ink-2">{alert.subject}</span>}
        </p>
        {alert.message && alert.message !== alert.title && (
          <p className="line-clamp-2 text-sm text-pretty break-words text-ink-2">{alert.message}</p>
        )}
        <Tags alert={alert} now={now} />
        <p className="mt-0.5 text-xs text-ink-3 sm:hidden">{when(alert, now)}</p>
      </div>
      <span
        className="hidden shrink-0 pt-0.5 text-right text-xs whitespace-nowrap text-ink-3 sm:block"
        title={`True since ${moment(alert.true_at)}`}
      >
        {when(alert, now)}
      </span>
    </li>
  );
}

/** Since when, or for how long. */
function when(alert: Alert, now: number): string {
  if (alert.resolved_at === null) return ago(alert.true_at, now);
  return `${moment(alert.true_at)} for ${duration((alert.resolved_at - alert.true_at) / 1000)}`;
}

function Tags({ alert, now }: { alert: Alert; now: number }) {
  const silenced = alert.state === "firing" && alert.silenced_until !== null && alert.silenced_until > now;
  const tags = [
    alert.state === "acknowledged" && (
      <Tag key="by" tone="new" icon={<UserCheck aria-hidden />}>
        {alert.acknowledged_by || ALERT_STATES.acknowledged.word}
      </Tag>
    ),
    alert.state === "resolved" && (
      <Tag key="over" tone="up">
        {alert.cause || (alert.resolved_by ? `closed by ${alert.resolved_by}` : "resolved")}
      </Tag>
    ),
    silenced && (
      <Tag key="silenced" icon={<BellOff aria-hidden />} title="A silence holds: nobody is told">
        silenced
      </Tag>
    ),
    alert.suppressed && alert.state !== "resolved" && (
      <Tag key="explained" icon={<Link2Off aria-hidden />} title="What explains it was told already">
        explained by another
      </Tag>
    ),
    alert.flapping && (
      <Tag key="flapping" tone="late" icon={<Waves aria-hidden />} title="It comes and goes">
        flapping
      </Tag>
    ),
  ].filter(Boolean);
  return tags.length === 0 ? null : <div className="mt-1 flex flex-wrap gap-1.5">{tags}</div>;
}
