"use client";

import { BellPlus, CircleCheck } from "lucide-react";
import Link from "next/link";
import { type Open, useOpenAlerts } from "@/lib/alerts";
import { classes } from "@/lib/classes";
import { useNow } from "@/lib/clock";
import { useServers } from "@/lib/data";
import { count, counted } from "@/lib/units";
import { AlertLine } from "@/ui/alert-line";
import { Button } from "@/ui/button";
import { EmptyFace } from "@/ui/faces";
import { Panel } from "@/ui/panel";
import { Section } from "@/ui/section";
import { SEVERITIES, SeverityIcon } from "@/ui/severity";
import { Whole } from "@/ui/whole";
import { type Group, partsOf, sizeOf } from "./group";

export function OpenAlertsView() {
  const query = useOpenAlerts();
  return (
    <Section title="Open alerts" lead="What is wrong now. The list changes by itself.">
      <Whole query={query} what="open alerts">
        {(open) => (open.alerts.length === 0 ? <AllWell /> : <OpenAlerts open={open} />)}
      </Whole>
    </Section>
  );
}

function OpenAlerts({ open }: { open: Open }) {
  const now = useNow(1000);
  const parts = partsOf(open.alerts);
  return (
    <div className="flex flex-col gap-5" data-testid="open-alerts" data-count={open.alerts.length}>
      {parts.map((part) => (
        <section key={part.severity} aria-label={SEVERITIES[part.severity].word}>
          <h2 className="mb-2 flex items-center gap-2 text-base font-semibold tracking-tight">
            <SeverityIcon severity={part.severity} />
            {SEVERITIES[part.severity].word}
            <span className="font-normal text-ink-3">{count(sizeOf(part))}</span>
          </h2>
          <Panel className="overflow-hidden">
            <ul className="divide-y divide-line">
              {part.groups.map((group) => (
                <GroupLines key={group.alert.id} group={group} now={now} />
              ))}
            </ul>
          </Panel>
        </section>
      ))}
      {open.more && (
        <p className="text-sm text-ink-3">
          There are more. These are the newest {count(open.alerts.length)};{" "}
          <Link
            href="/alerts/history/?state=open"
            className="font-medium text-accent-ink underline underline-offset-4"
          >
            search among all
          </Link>
          .
        </p>
      )}
    </div>
  );
}

/** An alert, and beneath it what it explains. */
function GroupLines({ group, now }: { group: Group; now: number }) {
  if (group.beneath.length === 0) return <AlertLine alert={group.alert} now={now} />;
  return (
    <>
      <AlertLine alert={group.alert} now={now} />
      <li className="bg-sunken/50 pl-4 sm:pl-7" data-testid="beneath">
        <p className="px-4 pt-2 text-xs text-ink-3">
          {counted(group.beneath.length, "other alert")} of {group.alert.subject}, open since before it went
          silent
        </p>
        <ul className={classes("divide-y divide-line border-l-2 border-line")}>
          {group.beneath.map((alert) => (
            <AlertLine key={alert.id} alert={alert} now={now} within />
          ))}
        </ul>
      </li>
    </>
  );
}

function AllWell() {
  const servers = useServers();
  if (servers.data?.length === 0)
    return (
      <Panel>
        <EmptyFace
          icon={<BellPlus aria-hidden />}
          title="Nothing is watched, so nothing can fire"
          className="py-20"
          action={
            <Button asChild kind="primary">
              <Link href="/add/">Add your first server</Link>
            </Button>
          }
        >
          Add a server: rules for its heartbeat, disks and services come along.
        </EmptyFace>
      </Panel>
    );
  return (
    <Panel>
      <EmptyFace
        icon={<CircleCheck aria-hidden className="text-up" />}
        title="All is well"
        className="py-20"
        action={
          <>
            <Button asChild>
              <Link href="/alerts/history/">What was</Link>
            </Button>
            <Button asChild>
              <Link href="/channels/">Test who would be told</Link>
            </Button>
          </>
        }
      >
        No alert is open. A new one appears here by itself.
      </EmptyFace>
    </Panel>
  );
}
