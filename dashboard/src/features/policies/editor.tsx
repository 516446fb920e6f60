"use client";

import { Plus, Users } from "lucide-react";
import { useState } from "react";
import {
  type Channel,
  type ChannelKind,
  type Policies,
  type Policy,
  Problem,
  type Severity,
} from "@/lib/api";
import { useFate } from "@/lib/fate";
import { useSavePolicies } from "@/lib/telling";
import { count } from "@/lib/units";
import { addresseeInWords } from "@/lib/words";
import { Button } from "@/ui/button";
import { FateOfDraft } from "@/ui/changed";
import { EditorFrame, Part } from "@/ui/editor";
import { Field } from "@/ui/field";
import { HoursFields, nightHours } from "@/ui/hours-fields";
import { Several, Switch } from "@/ui/inputs";
import { Banner } from "@/ui/panel";
import { SelectorFields } from "@/ui/selector-fields";
import { SEVERITIES } from "@/ui/severity";
import { draftOf, readPolicy, type StepDraft, step, withPolicy } from "./draft";

export function PolicyEditor({
  organizationId,
  all,
  policy,
  live,
  channels,
  kinds,
  onDone,
}: {
  organizationId: string;
  all: Policies;
  /** Null: a new one, at the end. */
  policy: Policy | null;
  /** As it is now; undefined: not stored, or no more. */
  live: Policy | undefined;
  channels: readonly Channel[];
  kinds: readonly ChannelKind[];
  onDone: () => void;
}) {
  const save = useSavePolicies(organizationId);
  const [draft, setDraft] = useState(() => draftOf(policy));
  const [tried, setTried] = useState(false);
  // Only all of them have a version. Another's change of another policy is none of this one.
  const { fate, problem, keep } = useFate(policy && markOf(policy), live ? markOf(live) : null, save);
  const among = fate === "kept" && problem instanceof Problem && problem.slug === "version";
  const faults = tried ? readPolicy(draft).faults : new Map<string, string>();
  const put = (change: Partial<typeof draft>) => setDraft((before) => ({ ...before, ...change }));
  const putStep = (changed: StepDraft) =>
    put({ steps: draft.steps.map((each) => (each.id === changed.id ? changed : each)) });
  return (
    <EditorFrame
      title={policy ? policy.name : "New policy"}
      lead="Steps stop as soon as somebody acknowledges the alert, or it is over."
      back="All policies"
      onBack={onDone}
      busy={save.isPending}
      problem={among ? null : problem}
      notice={
        among ? (
          <Banner tone="late" testId="among" icon={<Users aria-hidden />}>
            <strong className="font-medium">Somebody changed other policies meanwhile.</strong>{" "}
            <span className="text-ink-2">
              What you typed is still here. Save again to put it among theirs.
            </span>
          </Banner>
        ) : (
          <FateOfDraft fate={fate} what="policy" onKeep={keep} onReload={onDone} />
        )
      }
      blocked={fate === "changed"}
      action={fate === "gone" ? "Save as a new policy" : undefined}
      onSubmit={() => {
        setTried(true);
        const read = readPolicy(draft);
        if (read.faults.size > 0) return false;
        save.mutate(
          { version: all.version, policies: withPolicy(all.policies, read.policy) },
          { onSuccess: onDone },
        );
        return true;
      }}
    >
      <Field
        label="Name"
        value={draft.name}
        maxLength={100}
        autoComplete="off"
        onChange={(event) => put({ name: event.target.value })}
        fault={faults.get("name") ?? null}
      />
      <Part title="Which alerts">
        <Several
          label="Severities"
          hint="None chosen: any."
          chosen={draft.severities}
          onChange={(severities) => put({ severities })}
          options={(["down", "critical", "warning"] as Severity[]).map((value) => ({
            value,
            label: SEVERITIES[value].word,
          }))}
        />
        <SelectorFields
          organizationId={organizationId}
          what={draft.what}
          onChange={(what) => put({ what })}
        />
      </Part>
      <Part
        title="Who is told"
        lead="The first step is taken at once, each later one if nobody has acknowledged."
      >
        {draft.steps.map((each, index) => (
          <StepFields
            key={each.id}
            step={each}
            place={index}
            channels={channels}
            kinds={kinds}
            fault={faults.get(`steps.${index}`) ?? null}
            onChange={putStep}
            onRemove={
              index === 0 ? null : () => put({ steps: draft.steps.filter(({ id }) => id !== each.id) })
            }
          />
        ))}
        <Button
          className="self-start"
          disabled={draft.steps.length >= 20}
          onClick={() => put({ steps: [...draft.steps, step(nextMinutes(draft.steps))] })}
        >
          <Plus aria-hidden />
          Add a step
        </Button>
        <Field
          label="Tell again every … minutes (optional)"
          inputMode="decimal"
          placeholder="never"
          hint="After the last step, until somebody acknowledges it."
          className="max-w-72"
          value={draft.repeat}
          onChange={(event) => put({ repeat: event.target.value })}
          fault={faults.get("repeat") ?? null}
        />
      </Part>
      <Part title="Quiet hours">
        <Switch
          label="Hold messages back at some hours"
          hint="They are sent when the hours are over, if the alert is still open."
          checked={draft.quiet !== null}
          onChange={(on) => put({ quiet: on ? nightHours() : null })}
        />
        {draft.quiet && (
          <>
            <HoursFields hours={draft.quiet} onChange={(quiet) => put({ quiet })} />
            <Switch
              label="Servers that are down wait too"
              hint="Otherwise people are told of them at any hour."
              checked={draft.holdsDown}
              onChange={(holdsDown) => put({ holdsDown })}
            />
          </>
        )}
      </Part>
    </EditorFrame>
  );
}

const markOf = (policy: Policy) => JSON.stringify(policy);

function nextMinutes(steps: readonly StepDraft[]): string {
  const last = Number(steps.at(-1)?.minutes ?? 0);
  return String((Number.isFinite(last) ? last : 0) + 15);
}

function StepFields({
  step: each,
  place,
  channels,
  kinds,
  fault,
  onChange,
  onRemove,
}: {
  step: StepDraft;
  place: number;
  channels: readonly Channel[];
  kinds: readonly ChannelKind[];
  fault: string | null;
  onChange: (step: StepDraft) => void;
  onRemove: (() => void) | null;
}) {
  const title = place === 0 ? "At once" : `Step ${count(place + 1)}`;
  // Those that there are, every one of a kind, and what the step names though it is gone.
  const names = [
    ...new Set([
      ...channels.map(({ id }) => id),
      ...kinds.map(({ kind }) => `kind:${kind}`),
      ...each.channels,
    ]),
  ];
  return (
    <fieldset className="rounded-lg border border-line bg-sunken/50 p-3" aria-label={title}>
      <div className="mb-2 flex items-center justify-between gap-2">
        <span className="text-sm font-medium">{title}</span>
        {onRemove && (
          <Button kind="quiet" className="h-7" onClick={onRemove}>
            Remove<span className="sr-only"> {title}</span>
          </Button>
        )}
      </div>
      {place > 0 && (
        <Field
          label="Minutes after the alert"
          inputMode="decimal"
          className="mb-3 max-w-48"
          value={each.minutes}
          onChange={(event) => onChange({ ...each, minutes: event.target.value })}
          fault={fault}
        />
      )}
      <Several
        label="Channels"
        hint={each.channels.length === 0 ? "None chosen: this step tells nobody." : undefined}
        chosen={each.channels}
        onChange={(chosen) => onChange({ ...each, channels: chosen })}
        options={names.map((value) => ({ value, label: addresseeInWords(value, channels, kinds) }))}
      />
    </fieldset>
  );
}
