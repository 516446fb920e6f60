"use client";

import { ArrowRight, CircleCheck, KeyRound, LoaderCircle, ShieldAlert, TriangleAlert } from "lucide-react";
import Link from "next/link";
import { type ReactNode, useEffect, useRef, useState } from "react";
import type { EnrolmentKeyMade, Organization, Server } from "@/lib/api";
import { classes } from "@/lib/classes";
import { useMe, useServers } from "@/lib/data";
import { useMakeKey } from "@/lib/keys";
import { serverPath } from "@/lib/url";
import { Button } from "@/ui/button";
import { Command, CopyButton } from "@/ui/copy";
import { EmptyFace, ErrorFace, Loading, Refusal, Skeleton } from "@/ui/faces";
import { Field } from "@/ui/field";
import { Banner, Panel } from "@/ui/panel";
import { StateBadge } from "@/ui/state";

export function AddView() {
  const me = useMe();
  const [made, setMade] = useState<EnrolmentKeyMade | null>(null);
  const organization = me.data?.organizations.find(({ role }) => role === "owner" || role === "admin");
  return (
    <div className="mx-auto max-w-2xl">
      <h1 className="text-xl font-semibold tracking-tight">Add a server</h1>
      <p className="mt-1 mb-6 text-pretty text-ink-2">
        The agent runs on the server and reports to this hub. A key lets it enrol; afterwards it has a key of
        its own.
      </p>
      {me.data === undefined ? (
        me.error ? (
          <Panel>
            <ErrorFace problem={me.error} retry={() => void me.refetch()} />
          </Panel>
        ) : (
          <Loading what="your organization">
            <Skeleton className="h-40 rounded-xl" />
          </Loading>
        )
      ) : organization === undefined ? (
        <Panel>
          <EmptyFace icon={<ShieldAlert aria-hidden />} title="Ask an owner or an admin">
            Enrolment keys let servers in, so only they can make one.
          </EmptyFace>
        </Panel>
      ) : (
        <ol className="flex flex-col">
          <Step number={1} title="Name the key" done={made !== null}>
            {made === null ? (
              <NameKey organization={organization} onMade={setMade} />
            ) : (
              <p className="text-ink-2">
                <span className="font-medium text-ink">{made.name}</span>, listed in{" "}
                <Link
                  href="/settings/"
                  className="font-medium text-accent-ink underline-offset-4 hover:underline"
                >
                  settings
                </Link>{" "}
                as <code className="font-mono text-xs">{made.prefix}…</code>
              </p>
            )}
          </Step>
          <Step number={2} title="Run the agent on the server" waiting={made === null}>
            {made && <Install made={made} />}
          </Step>
          <Step number={3} title="See it appear" waiting={made === null} last>
            {made && <Arrival />}
          </Step>
        </ol>
      )}
    </div>
  );
}

function Step({
  number,
  title,
  done = false,
  waiting = false,
  last = false,
  children,
}: {
  number: number;
  title: string;
  done?: boolean;
  waiting?: boolean;
  last?: boolean;
  children: ReactNode;
}) {
  return (
    <li
      className={classes(
        "grid grid-cols-[1.75rem_minmax(0,1fr)] gap-x-3 sm:gap-x-4",
        waiting && "opacity-60",
      )}
    >
      <div className="flex flex-col items-center">
        <span
          className={classes(
            "grid size-7 place-items-center rounded-full border text-sm font-semibold",
            done ? "border-up/40 bg-up/10 text-up" : "border-line-strong bg-surface text-ink-2",
          )}
        >
          {done ? <CircleCheck className="size-4" aria-label="Done" /> : number}
        </span>
        {!last && <span aria-hidden className="w-px flex-1 bg-line-strong" />}
      </div>
      <div className={classes("min-w-0", !last && "pb-8")}>
        <h2 className="mb-2 text-lg leading-7 font-semibold tracking-tight">{title}</h2>
        {children}
      </div>
    </li>
  );
}

function NameKey({
  organization,
  onMade,
}: {
  organization: Organization;
  onMade: (made: EnrolmentKeyMade) => void;
}) {
  const make = useMakeKey();
  return (
    <Panel className="p-4">
      <form
        aria-label="Make an enrolment key"
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          const name = String(new FormData(event.currentTarget).get("name")).trim();
          if (name) make.mutate({ organization_id: organization.id, name }, { onSuccess: onMade });
        }}
      >
        <div className="flex items-end gap-2 max-sm:flex-col max-sm:items-stretch">
          <Field
            label="Name of the key"
            name="name"
            required
            maxLength={100}
            autoFocus
            autoComplete="off"
            placeholder="Web servers"
            className="flex-1"
          />
          <Button type="submit" kind="primary" size="lg" busy={make.isPending}>
            <KeyRound aria-hidden />
            Create the key
          </Button>
        </div>
        <p className="text-xs text-ink-3">
          One key can enrol many servers. Name it after what they have in common.
        </p>
        {make.error && <Refusal problem={make.error} />}
      </form>
    </Panel>
  );
}

function Install({ made }: { made: EnrolmentKeyMade }) {
  return (
    <div className="flex flex-col gap-4">
      {made.warning && (
        <Banner tone="late" icon={<TriangleAlert aria-hidden />}>
          {made.warning}
        </Banner>
      )}
      {made.install.map(({ title, command }) => (
        <div key={title}>
          <h3 className="mb-1.5 text-sm font-medium text-ink-2">{title}</h3>
          <Command command={command} label={`Copy: ${title}`} />
        </div>
      ))}
      <div className="rounded-lg border border-line bg-surface px-3 py-2.5 shadow-card">
        <div className="flex items-center gap-2">
          <KeyRound className="size-4 shrink-0 text-ink-3" aria-hidden />
          <code
            className="min-w-0 flex-1 overflow-x-auto font-mono text-xs whitespace-nowrap"
            data-testid="enrolment-key"
          >
            {made.key}
          </code>
          <CopyButton text={made.key} label="Copy the key" />
        </div>
        <p className="mt-1 pl-6 text-xs text-ink-3">
          The key is shown now and never again: the hub keeps only a fingerprint of it.
        </p>
      </div>
    </div>
  );
}

/** Every server that was not there when this step began. */
function Arrival() {
  const servers = useServers();
  const before = useRef<Set<string> | null>(null);
  const [arrived, setArrived] = useState<Server[]>([]);
  useEffect(() => {
    if (servers.data === undefined) return;
    if (before.current === null) before.current = new Set(servers.data.map(({ id }) => id));
    setArrived(servers.data.filter(({ id }) => !before.current?.has(id)));
  }, [servers.data]);
  if (arrived.length === 0)
    return (
      <div
        role="status"
        data-testid="waiting"
        className="flex items-center gap-2.5 rounded-xl border border-dashed border-line-strong px-4 py-4 text-ink-2"
      >
        <LoaderCircle className="size-4 shrink-0 animate-spin text-accent" aria-hidden />
        Waiting for the agent to say hello. This page notices by itself.
      </div>
    );
  return (
    <ul className="flex flex-col gap-2" aria-label="Servers that appeared" aria-live="polite">
      {arrived.map((server) => (
        <li key={server.id}>
          <Link
            href={serverPath(server.id)}
            data-testid="arrived"
            data-server-id={server.id}
            className="group flex animate-appear items-center gap-3 rounded-xl border border-up/35 bg-up/7 px-4 py-3 hover:border-up/60"
          >
            <CircleCheck className="size-5 shrink-0 text-up" aria-hidden />
            <span className="min-w-0 flex-1">
              <span className="block truncate font-medium">{server.name}</span>
              <span className="block truncate text-xs text-ink-2">
                {server.host["os.description"] ?? "It is here. Its first figures follow."}
              </span>
            </span>
            <StateBadge state={server.state} />
            <ArrowRight
              className="size-4 text-ink-3 transition-transform group-hover:translate-x-0.5"
              aria-hidden
            />
          </Link>
        </li>
      ))}
    </ul>
  );
}
