"use client";

import { BellOff, CircleOff, Lightbulb, Link2Off, Waves } from "lucide-react";
import Link from "next/link";
import type { ReactNode } from "react";
import { useAlert } from "@/lib/alerts";
import type { Alert, AlertDetail } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { useTitle } from "@/lib/title";
import { duration, measure, moment, say } from "@/lib/units";
import { alertFields, historyPath, probePath, serverPath, useUrlState } from "@/lib/url";
import { Breadcrumb } from "@/ui/breadcrumb";
import { isMissing, Missing } from "@/ui/missing";
import { Banner, Panel } from "@/ui/panel";
import { AlertStateBadge, SeverityBadge } from "@/ui/severity";
import { Whole } from "@/ui/whole";
import { Actions } from "./actions";
import { Deliveries } from "./deliveries";
import { Evidence } from "./evidence";
import { toldAfter } from "./story";
import { Timeline } from "./timeline";

export function AlertView() {
  const [{ id }] = useUrlState(alertFields);
  const query = useAlert(id);
  const title = query.data?.alert.title;
  useTitle(title);
  if (isMissing(id, query.error))
    return (
      <Missing what="alert" back={{ label: "all alerts", href: "/alerts/" }}>
        Its server may have been deleted, or it was resolved more than 90 days ago.
      </Missing>
    );
  return (
    <div className="mx-auto flex max-w-5xl flex-col gap-4">
      <Breadcrumb way={[{ label: "Alerts", href: "/alerts/" }]} here={title ?? "Alert"} />
      <Whole query={query} what="the alert">
        {(detail) => <Loaded detail={detail} />}
      </Whole>
    </div>
  );
}

function Loaded({ detail }: { detail: AlertDetail }) {
  const { alert } = detail;
  return (
    <div
      className="flex flex-col gap-4"
      data-testid="alert"
      data-state={alert.state}
      data-alert-id={alert.id}
    >
      <header className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0 flex-1 basis-80">
          <h1 className="text-xl font-semibold tracking-tight wrap-anywhere">{alert.title}</h1>
          <div className="mt-1.5 flex flex-wrap items-center gap-2 text-sm">
            <SeverityBadge severity={alert.severity} />
            <AlertStateBadge state={alert.state} />
            {subjectPath(alert) ? (
              <Link
                href={subjectPath(alert)}
                className="font-medium wrap-anywhere text-accent-ink underline-offset-4 hover:underline"
              >
                {alert.subject}
              </Link>
            ) : (
              <span className="wrap-anywhere text-ink-2">{alert.subject}</span>
            )}
            <Since detail={detail} />
          </div>
        </div>
        <Actions alert={alert} />
      </header>
      <Notices detail={detail} />
      <div className="grid grid-cols-1 items-start gap-4 lg:grid-cols-[minmax(0,1fr)_20rem]">
        <div className="flex min-w-0 flex-col gap-4">
          {alert.message && (
            <p className="text-pretty break-words whitespace-pre-line" data-testid="message">
              {alert.message}
            </p>
          )}
          <Timeline detail={detail} />
          <Deliveries detail={detail} />
          <Evidence detail={detail} />
        </div>
        <Facts detail={detail} />
      </div>
    </div>
  );
}

/** Where the server or the probe is seen that it is about; empty where it is about neither. */
function subjectPath({ server_id, probe_id }: Alert): string {
  if (probe_id !== null) return probePath(probe_id);
  return server_id === null ? "" : serverPath(server_id);
}

function Since({ detail: { alert } }: { detail: AlertDetail }) {
  const now = useNow(1000);
  return (
    <span className="text-ink-3" title={`Since ${moment(alert.true_at)}`}>
      {alert.resolved_at === null
        ? `open for ${duration((now - alert.true_at) / 1000)}`
        : `lasted ${duration((alert.resolved_at - alert.true_at) / 1000)}`}
    </span>
  );
}

/** Why people are told otherwise than usual. */
function Notices({ detail: { alert } }: { detail: AlertDetail }) {
  const now = useNow(1000);
  const open = alert.state !== "resolved";
  const silenced = alert.state === "firing" && alert.silenced_until !== null && alert.silenced_until > now;
  return (
    <>
      {alert.verdict && (
        <Banner icon={<Lightbulb aria-hidden />} testId="verdict">
          <strong className="font-medium text-ink">What is known:</strong> {alert.verdict}
        </Banner>
      )}
      {silenced && (
        <Banner icon={<BellOff aria-hidden />} testId="silenced">
          <strong className="font-medium text-ink">A silence holds: nobody is told</strong>
          {alert.silenced_until !== null && alert.silenced_until - now < 10 * 365 * 86_400_000
            ? ` before ${moment(alert.silenced_until)}.`
            : " until somebody ends it."}{" "}
          <Link href="/silences/" className="font-medium text-accent-ink underline-offset-4 hover:underline">
            To the silences
          </Link>
        </Banner>
      )}
      {open && alert.suppressed && (
        <Banner icon={<Link2Off aria-hidden />}>
          Nobody is told of this one: what explains it was told already.
        </Banner>
      )}
      {open && alert.flapping && (
        <Banner tone="late" icon={<Waves aria-hidden />}>
          It comes and goes. People were told that once; the next message says how it has come to rest.
        </Banner>
      )}
      {alert.late && (
        <Banner icon={<CircleOff aria-hidden />}>
          The hub heard of it when it was over, so it has told nobody again.
        </Banner>
      )}
    </>
  );
}

function Facts({ detail }: { detail: AlertDetail }) {
  const { alert, definition, policy, next_step_at: next } = detail;
  const now = useNow(1000);
  const told = toldAfter(detail);
  const labels = Object.entries(alert.labels);
  return (
    <Panel>
      <dl className="divide-y divide-line text-sm">
        <Fact name="Rule">
          <Link
            href={historyPath({ rule: alert.rule })}
            title="What else this rule has fired"
            className="wrap-anywhere text-accent-ink underline-offset-4 hover:underline"
          >
            {alert.rule}
          </Link>
        </Fact>
        <Fact name="About">
          <code className="font-mono text-xs break-all">{alert.thing}</code>
        </Fact>
        {alert.value !== null && (
          <Fact name="Value">
            {say(alert.unit, alert.value)}
            {definition && <Threshold definition={definition} unit={alert.unit} />}
          </Fact>
        )}
        {labels.length > 0 && (
          <Fact name="Labels">
            {labels.map(([name, value]) => (
              <span key={name} className="block font-mono text-xs break-all">
                {name}={value}
              </span>
            ))}
          </Fact>
        )}
        <Fact name="True since">{moment(alert.true_at)}</Fact>
        <Fact name="Told after">
          {told === null ? (
            alert.state === "resolved" ? (
              "nobody was told"
            ) : (
              "nobody yet"
            )
          ) : (
            <span data-testid="told-after">
              {measure("s", told).number}
              {measure("s", told).unit}
            </span>
          )}
        </Fact>
        <Fact name="Policy">
          {policy ? (
            <Link href="/policies/" className="text-accent-ink underline-offset-4 hover:underline">
              {policy}
            </Link>
          ) : (
            "none admits it"
          )}
        </Fact>
        {alert.state === "firing" && next !== null && next > now && (
          <Fact name="Next step">in {duration((next - now) / 1000)}, unless somebody acknowledges it</Fact>
        )}
        {alert.acknowledged_at !== null && (
          <Fact name="Acknowledged">
            <span className="wrap-anywhere">{alert.acknowledged_by}</span>, {moment(alert.acknowledged_at)}
          </Fact>
        )}
        {alert.resolved_at !== null && <Fact name="Resolved">{moment(alert.resolved_at)}</Fact>}
        {alert.cause && <Fact name="Cause">{alert.cause}</Fact>}
      </dl>
    </Panel>
  );
}

function Threshold({
  definition,
  unit,
}: {
  definition: NonNullable<AlertDetail["definition"]>;
  unit: string;
}) {
  const bounds = [
    typeof definition.above === "number" && `above ${say(unit, definition.above)}`,
    typeof definition.below === "number" && `below ${say(unit, definition.below)}`,
  ].filter(Boolean);
  return bounds.length === 0 ? null : <span className="text-ink-3"> (alerts {bounds.join(" or ")})</span>;
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex gap-3 px-4 py-2">
      <dt className="w-24 shrink-0 text-ink-3">{name}</dt>
      <dd className="min-w-0 flex-1">{children}</dd>
    </div>
  );
}
