"use client";

import { KeyRound, LogOut, Monitor, Moon, Plus, Sun, Trash2 } from "lucide-react";
import Link from "next/link";
import { type ReactNode, useState } from "react";
import type { EnrolmentKey, Organization } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { useMe, useStatus, useStorage } from "@/lib/data";
import { useEnrolmentKeys, useRevokeKey } from "@/lib/keys";
import { signOut } from "@/lib/session";
import { chooseTheme, useTheme } from "@/lib/theme";
import { ago, count, counted, date, moment, say } from "@/lib/units";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { EmptyFace, ErrorFace, Loading, Skeleton } from "@/ui/faces";
import { Panel } from "@/ui/panel";
import { Segmented } from "@/ui/segmented";

const THEMES = [
  {
    value: "system" as const,
    label: (
      <>
        <Monitor aria-hidden /> System
      </>
    ),
  },
  {
    value: "light" as const,
    label: (
      <>
        <Sun aria-hidden /> Light
      </>
    ),
  },
  {
    value: "dark" as const,
    label: (
      <>
        <Moon aria-hidden /> Dark
      </>
    ),
  },
];

export function SettingsView() {
  const me = useMe();
  const status = useStatus();
  const theme = useTheme();
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-8">
      <h1 className="text-xl font-semibold tracking-tight">Settings</h1>
      {me.data === undefined ? (
        me.error ? (
          <Panel>
            <ErrorFace problem={me.error} retry={() => void me.refetch()} />
          </Panel>
        ) : (
          <Loading what="settings" className="flex flex-col gap-8">
            <Skeleton className="h-48 rounded-xl" />
            <Skeleton className="h-32 rounded-xl" />
          </Loading>
        )
      ) : (
        <>
          {me.data.organizations.map((organization) => (
            <Keys
              key={organization.id}
              organization={organization}
              several={me.data.organizations.length > 1}
            />
          ))}
          <Part title="Organization" lead="What your servers and members belong to.">
            <Panel className="divide-y divide-line">
              {me.data.organizations.map((organization) => (
                <div key={organization.id}>
                  <Row label={organization.name}>
                    <span className="flex items-center gap-2">
                      <Chip>{organization.plan} plan</Chip>
                      <Chip>you are {organization.role}</Chip>
                    </span>
                  </Row>
                  <Kept organization={organization} />
                </div>
              ))}
            </Panel>
          </Part>
          <Part title="Account" lead="You, on this device.">
            <Panel className="divide-y divide-line">
              <Row label="E-mail">
                <span className="truncate text-ink-2" data-testid="account-email">
                  {me.data.user.email}
                </span>
              </Row>
              <Row label="Theme">
                <Segmented label="Theme" value={theme} onChange={chooseTheme} options={THEMES} />
              </Row>
              <Row label="Session">
                <Button onClick={() => void signOut()}>
                  <LogOut aria-hidden />
                  Sign out
                </Button>
              </Row>
            </Panel>
          </Part>
        </>
      )}
      {status.data && <p className="text-xs text-ink-3">Twinwatch {status.data.version}</p>}
    </div>
  );
}

/** How much of the organization's figures there is, and for how long it stays. */
function Kept({ organization }: { organization: Organization }) {
  const kept = useStorage(organization.id).data;
  if (kept === undefined) return null;
  return (
    <p className="-mt-2 px-4 pb-3 text-sm text-ink-2" data-testid="kept">
      {kept.oldest === null
        ? "No samples yet."
        : `${count(kept.samples)} samples since ${moment(kept.oldest)}, ${say("By", kept.size_bytes)}.`}{" "}
      They stay for {counted(kept.retention_days, "day")}.
    </p>
  );
}

function Part({
  title,
  lead,
  action,
  children,
}: {
  title: string;
  lead: string;
  action?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section aria-label={title}>
      <div className="mb-3 flex items-end justify-between gap-4">
        <div>
          <h2 className="text-lg font-semibold tracking-tight">{title}</h2>
          <p className="text-sm text-pretty text-ink-2">{lead}</p>
        </div>
        {action}
      </div>
      {children}
    </section>
  );
}

function Row({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="flex min-h-14 flex-wrap items-center justify-between gap-x-6 gap-y-2 px-4 py-2.5">
      <span className="font-medium">{label}</span>
      {children}
    </div>
  );
}

function Chip({ children }: { children: ReactNode }) {
  return (
    <span className="rounded-full border border-line bg-sunken px-2 py-0.5 text-xs text-ink-2">
      {children}
    </span>
  );
}

function Keys({ organization, several }: { organization: Organization; several: boolean }) {
  const keys = useEnrolmentKeys(organization.id);
  const rules = organization.role === "owner" || organization.role === "admin";
  const add = rules && (
    <Button asChild>
      <Link href="/add/">
        <Plus aria-hidden />
        New key
      </Link>
    </Button>
  );
  return (
    <Part
      title={several ? `Enrolment keys of ${organization.name}` : "Enrolment keys"}
      lead="They let new servers in. Revoking one does not touch the servers that came with it."
      action={keys.data?.length ? add : undefined}
    >
      <Panel>
        {keys.data === undefined ? (
          keys.error ? (
            <ErrorFace problem={keys.error} retry={() => void keys.refetch()} className="py-8" />
          ) : (
            <Loading what="enrolment keys" className="flex flex-col gap-3 p-4">
              <Skeleton className="h-9" />
              <Skeleton className="h-9" />
            </Loading>
          )
        ) : keys.data.length === 0 ? (
          <EmptyFace icon={<KeyRound aria-hidden />} title="No keys" action={add} className="py-10">
            Make one to let a server in.
          </EmptyFace>
        ) : (
          <ul className="divide-y divide-line">
            {keys.data.map((key) => (
              <KeyRow key={key.id} enrolmentKey={key} rules={rules} />
            ))}
          </ul>
        )}
      </Panel>
    </Part>
  );
}

function KeyRow({ enrolmentKey: key, rules }: { enrolmentKey: EnrolmentKey; rules: boolean }) {
  const now = useNow(10_000);
  const revoke = useRevokeKey();
  const [asking, setAsking] = useState(false);
  return (
    <li
      data-testid="enrolment-key-row"
      data-key-id={key.id}
      className="flex min-h-14 items-center gap-4 px-4 py-2"
    >
      <KeyRound className="size-4 shrink-0 text-ink-3" aria-hidden />
      <div className="min-w-0 flex-1">
        <div className="flex items-baseline gap-2">
          <span className="truncate font-medium">{key.name}</span>
          <code className="shrink-0 font-mono text-xs text-ink-3">{key.prefix}…</code>
        </div>
        <div className="text-xs text-ink-3">
          <span title={moment(key.created_at)}>made {date(key.created_at)}</span>
          {" · "}
          <span title={key.last_used_at === null ? undefined : moment(key.last_used_at)}>
            {key.last_used_at === null ? "not used yet" : `last used ${ago(key.last_used_at, now)}`}
          </span>
        </div>
      </div>
      {rules && (
        <Button kind="quiet" onClick={() => setAsking(true)} aria-label={`Revoke ${key.name}`}>
          <Trash2 aria-hidden />
          <span className="max-sm:sr-only">Revoke</span>
        </Button>
      )}
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={`Revoke ${key.name}?`}
        description="No more servers can enrol with it. Those that already did keep reporting."
        action="Revoke the key"
        run={() => revoke.mutateAsync(key.id)}
      />
    </li>
  );
}
