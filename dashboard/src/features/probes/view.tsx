"use client";

import { Plus, Radar, SearchIcon, SearchX } from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import type { Organization, Probe, ProbeAllowance, ProbeKind } from "@/lib/api";
import { classes } from "@/lib/classes";
import { useNow } from "@/lib/clock";
import { useHeld } from "@/lib/fate";
import { mayWrite, useOrganization } from "@/lib/organization";
import { useProbes } from "@/lib/probes";
import { ago, count, counted, duration, say } from "@/lib/units";
import { probePath, probesFields, useUrlState } from "@/lib/url";
import { Button } from "@/ui/button";
import { CHECK_STATES, CheckIcon } from "@/ui/check-state";
import { EmptyFace } from "@/ui/faces";
import { Search } from "@/ui/field";
import { Choice } from "@/ui/inputs";
import { Panel } from "@/ui/panel";
import { Tag } from "@/ui/tag";
import { Whole } from "@/ui/whole";
import { useProbeActions } from "./actions";
import { ProbeEditor } from "./editor";
import { expiryInWords, inOrder, matching, uptimeInWords } from "./order";
import { Recent } from "./recent";

export function ProbesView() {
  const { all, organization, choose } = useOrganization();
  const query = useProbes(organization?.id);
  const [{ edit }, change] = useUrlState(probesFields);
  const writes = mayWrite(organization?.role);
  const live = query.data?.probes.find(({ id }) => id === edit);
  // Deleted by somebody else meanwhile: what is being typed stays.
  const known = useHeld(edit, live);
  const add = writes && (
    <Button kind="primary" onClick={() => change({ edit: "new" }, "push")} data-testid="add-probe">
      <Plus aria-hidden />
      New probe
    </Button>
  );
  return (
    <div className="mx-auto flex max-w-5xl flex-col gap-4">
      <div className="flex flex-wrap items-end justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <h1 className="text-xl font-semibold tracking-tight">Probes</h1>
          <p className="text-sm text-pretty text-ink-2">
            What the hub checks from outside: pages, ports and hosts, as your users reach them.
          </p>
        </div>
        <div className="flex flex-wrap items-center gap-2">
          {all.length > 1 && organization && (
            <Choice
              label="Organization"
              bare
              value={organization.id}
              onChange={choose}
              options={all.map(({ id, name }) => ({ value: id, label: name }))}
            />
          )}
          {edit === "" && query.data && query.data.probes.length > 0 && add}
        </div>
      </div>
      <Whole query={query} what="probes">
        {({ probes, kinds, allowance }) => {
          if (organization === undefined) return null;
          if (writes && (edit === "new" || known))
            return (
              <ProbeEditor
                key={edit}
                organizationId={organization.id}
                probe={known ?? null}
                live={live}
                kinds={kinds}
                allowance={allowance}
                onDone={() => change({ edit: "" }, "push")}
              />
            );
          if (probes.length === 0)
            return (
              <Panel>
                <EmptyFace
                  icon={<Radar aria-hidden />}
                  title="Nothing is checked from outside yet"
                  className="py-20"
                  action={add}
                >
                  Name a page, a port or a host. The hub tries it every minute and tells you when it fails.
                </EmptyFace>
              </Panel>
            );
          return (
            <List
              organization={organization}
              probes={probes}
              kinds={kinds}
              allowance={allowance}
              writes={writes}
            />
          );
        }}
      </Whole>
    </div>
  );
}

function List({
  organization,
  probes,
  kinds,
  allowance,
  writes,
}: {
  organization: Organization;
  probes: Probe[];
  kinds: ProbeKind[];
  allowance: ProbeAllowance;
  writes: boolean;
}) {
  const [{ q, state }, change] = useUrlState(probesFields);
  const [words, setWords] = useState(q);
  const now = useNow(1000);
  const shown = inOrder(matching(probes, words, state));
  return (
    <div className="flex flex-col gap-3">
      {probes.length > 5 && (
        <div className="flex flex-wrap gap-2">
          <Search
            icon={<SearchIcon aria-hidden />}
            aria-label="Filter probes"
            placeholder="Filter by name or target"
            className="w-full sm:w-72"
            value={words}
            onChange={(event) => {
              setWords(event.target.value);
              change({ q: event.target.value });
            }}
          />
          <div className="max-sm:w-full">
            <Choice
              bare
              label="State"
              value={state}
              onChange={(next) => change({ state: next })}
              options={[
                { value: "all" as const, label: "Any state" },
                ...(["down", "degraded", "unknown", "up"] as const).map((value) => ({
                  value,
                  label: CHECK_STATES[value].word,
                })),
              ]}
            />
          </div>
        </div>
      )}
      <Panel className="overflow-hidden">
        {shown.length === 0 ? (
          <EmptyFace icon={<SearchX aria-hidden />} title="No probe matches">
            Clear the filter to see all {count(probes.length)}.
          </EmptyFace>
        ) : (
          <ul className="divide-y divide-line" aria-label="Probes">
            {shown.map((probe) => (
              <ProbeRow
                key={probe.id}
                probe={probe}
                title={kinds.find(({ kind }) => kind === probe.kind)?.title ?? probe.kind}
                now={now}
                writes={writes}
                onEdit={() => change({ edit: probe.id }, "push")}
              />
            ))}
          </ul>
        )}
      </Panel>
      <p className="text-xs text-ink-3">
        {counted(allowance.used, "probe")} of {count(allowance.probes)} that the {organization.plan} plan
        allows.
      </p>
    </div>
  );
}

function ProbeRow({
  probe,
  title,
  now,
  writes,
  onEdit,
}: {
  probe: Probe;
  title: string;
  now: number;
  writes: boolean;
  onEdit: () => void;
}) {
  const { buttons, outcome } = useProbeActions(probe, writes, onEdit);
  const state = CHECK_STATES[probe.state];
  const expiry = expiryInWords(probe.expires_at, now);
  return (
    <li
      data-testid="probe"
      data-probe={probe.name}
      data-state={probe.enabled ? probe.state : "paused"}
      className="relative px-4 py-3 transition-colors hover:bg-ink/[0.025]"
    >
      <div className="flex flex-wrap items-center gap-x-5 gap-y-2">
        <div className={classes("flex min-w-0 flex-1 basis-64 gap-3", !probe.enabled && "opacity-65")}>
          <CheckIcon state={probe.enabled ? probe.state : "unknown"} className="mt-0.5 size-[18px]" />
          <div className="min-w-0">
            <p className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
              <Link
                href={probePath(probe.id)}
                className="font-medium wrap-anywhere after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-accent"
              >
                {probe.name}
              </Link>
              <span className={classes("text-xs font-medium", probe.enabled ? state.text : "text-ink-3")}>
                {probe.enabled ? state.word : "Paused"}
              </span>
              {expiry && <Tag tone="late">{expiry}</Tag>}
              {probe.only_here && (
                <Tag tone="late" title="Other agents reach it: it may be the hub's own network">
                  only from here
                </Tag>
              )}
            </p>
            <p className="text-sm wrap-anywhere text-ink-3">
              {title} · {probe.target}
            </p>
            {probe.message && probe.state !== "up" && (
              <p className="text-sm break-words text-ink-2">{probe.message}</p>
            )}
          </div>
        </div>
        <Recent probe={probe} className="w-28 max-sm:w-full" />
        <dl className="grid grid-cols-3 gap-x-4 text-right max-sm:w-full max-sm:text-left">
          <Figure name="24 h">{uptimeInWords(probe.uptime.day)}</Figure>
          <Figure name="30 d">{uptimeInWords(probe.uptime.month)}</Figure>
          <Figure name={probe.last_at === null ? "tried" : ago(probe.last_at, now)}>
            {probe.last_seconds === null ? "–" : say("s", probe.last_seconds)}
          </Figure>
        </dl>
        {buttons}
      </div>
      {probe.secrets_lost && (
        <p className="mt-1 text-sm text-down">
          The hub's own secret was changed: enter this probe's credentials again.
        </p>
      )}
      {outcome}
    </li>
  );
}

function Figure({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className="flex min-w-16 flex-col-reverse">
      <dt className="text-2xs whitespace-nowrap text-ink-3">{name}</dt>
      <dd className="text-sm font-medium">{children}</dd>
    </div>
  );
}

/** `every minute`, `every 10 min`. */
export function everyInWords(seconds: number): string {
  return seconds === 60 ? "every minute" : `every ${duration(seconds)}`;
}
