"use client";

import { Radar } from "lucide-react";
import { useMemo, useState } from "react";
import type { Probe, ProbeAllowance, ProbeKind } from "@/lib/api";
import { useServers } from "@/lib/data";
import { useFate } from "@/lib/fate";
import { useSaveProbe, useTryProbe } from "@/lib/probes";
import { duration } from "@/lib/units";
import { Button } from "@/ui/button";
import { FateOfDraft, SECRETS_LOST } from "@/ui/changed";
import { EditorFrame, Part } from "@/ui/editor";
import { Refusal } from "@/ui/faces";
import { Field } from "@/ui/field";
import { Fields } from "@/ui/form/compound";
import { draftOfFields, optionsOf } from "@/ui/form/draft";
import { fieldsOf, type Json } from "@/ui/form/schema";
import { Choice, Switch } from "@/ui/inputs";
import { Outcome } from "./actions";

const INTERVALS = [10, 30, 60, 120, 300, 600, 1800, 3600];

/** One probe being added or changed; it can be tried before it is saved. */
export function ProbeEditor({
  organizationId,
  probe,
  live,
  kinds,
  allowance,
  onDone,
}: {
  organizationId: string;
  /** Null: a new one. */
  probe: Probe | null;
  /** As it is now; undefined: not stored, or no more. */
  live: Probe | undefined;
  kinds: readonly ProbeKind[];
  allowance: ProbeAllowance;
  onDone: () => void;
}) {
  const save = useSaveProbe(organizationId);
  const trial = useTryProbe(organizationId);
  const servers = (useServers().data ?? []).filter((server) => server.organization_id === organizationId);
  const [kindName, setKindName] = useState(probe?.kind ?? kinds[0]?.kind ?? "");
  const kind = kinds.find((each) => each.kind === kindName);
  const fields = useMemo(() => fieldsOf(kind?.settings ?? {}), [kind]);
  const [settings, setSettings] = useState(() =>
    draftOfFields(fields, (probe?.settings ?? {}) as Record<string, Json>),
  );
  const [name, setName] = useState(probe?.name ?? "");
  const [interval, setInterval] = useState(
    probe?.interval_seconds ?? Math.max(60, allowance.least_interval_seconds),
  );
  const [serverId, setServerId] = useState(probe?.server_id ?? "");
  const [enabled, setEnabled] = useState(probe?.enabled ?? true);
  const [tried, setTried] = useState(false);
  const read = optionsOf(fields, settings, "settings");
  const faults = tried ? read.faults : new Map<string, string>();
  const { base, fate, problem, keep } = useFate(probe?.version ?? null, live?.version ?? null, save);
  const id = fate === "gone" ? null : (probe?.id ?? null);
  const intervals = [...new Set([...INTERVALS, interval])]
    .filter((seconds) => seconds >= allowance.least_interval_seconds || seconds === interval)
    .sort((a, b) => a - b);
  return (
    <EditorFrame
      title={probe ? probe.name : "New probe"}
      lead="It is tried from the hub; before an alert, agents of yours are asked whether they see the same."
      back="All probes"
      onBack={onDone}
      busy={save.isPending}
      problem={problem}
      notice={<FateOfDraft fate={fate} what="probe" lost={SECRETS_LOST} onKeep={keep} onReload={onDone} />}
      blocked={fate === "changed"}
      action={fate === "gone" ? "Save as a new probe" : undefined}
      onSubmit={() => {
        setTried(true);
        if (name.trim() === "" || read.faults.size > 0) return false;
        save.mutate(
          {
            id,
            wanted: {
              version: base ?? 0,
              name: name.trim(),
              kind: kindName,
              settings: read.options,
              interval_seconds: interval,
              server_id: serverId === "" ? null : serverId,
              enabled,
            },
          },
          { onSuccess: onDone },
        );
        return true;
      }}
    >
      <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
        <Field
          label="Name"
          value={name}
          maxLength={200}
          autoComplete="off"
          onChange={(event) => setName(event.target.value)}
          fault={tried && name.trim() === "" ? "Needed" : null}
        />
        {probe === null ? (
          <Choice
            label="Kind"
            value={kindName}
            onChange={(next) => {
              setKindName(next);
              setSettings(
                draftOfFields(fieldsOf(kinds.find((each) => each.kind === next)?.settings ?? {}), {}),
              );
            }}
            options={kinds.map((each) => ({ value: each.kind, label: each.title }))}
            hint={kind?.help}
          />
        ) : (
          <div>
            <p className="mb-1.5 text-sm font-medium">Kind</p>
            <p className="text-ink-2">{kind?.title ?? probe.kind}</p>
          </div>
        )}
      </div>
      <Part title="What is tried, and what is expected">
        <Fields
          key={kindName}
          fields={fields}
          draft={settings}
          onChange={setSettings}
          place="settings"
          faults={faults}
        />
        <div className="flex flex-col items-start gap-2">
          <Button
            busy={trial.isPending}
            onClick={() => {
              setTried(true);
              if (read.faults.size === 0)
                trial.mutate({ probe_id: id, kind: kindName, settings: read.options });
            }}
          >
            <Radar aria-hidden />
            Try it
          </Button>
          {trial.data && <Outcome outcome={trial.data} />}
          {trial.error && <Refusal problem={trial.error} />}
        </div>
      </Part>
      <Part title="How">
        <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
          <Choice
            label="Every"
            value={String(interval)}
            onChange={(next) => setInterval(Number(next))}
            options={intervals.map((seconds) => ({ value: String(seconds), label: duration(seconds) }))}
          />
          <Choice
            label="Stands for a server (optional)"
            hint="Its failure is evidence when that one is silent."
            value={serverId}
            onChange={setServerId}
            options={[
              { value: "", label: "none" },
              ...servers.map((server) => ({ value: server.id, label: server.name })),
            ]}
          />
        </div>
        <Switch label="On" hint="One that is off is not tried." checked={enabled} onChange={setEnabled} />
      </Part>
    </EditorFrame>
  );
}
