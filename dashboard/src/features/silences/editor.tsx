"use client";

import { useState } from "react";
import { hubNow } from "@/lib/clock";
import { useAddSilence } from "@/lib/telling";
import { localInput } from "@/lib/units";
import { EditorFrame, Part } from "@/ui/editor";
import { Field } from "@/ui/field";
import { HoursFields, nightHours } from "@/ui/hours-fields";
import { Segmented } from "@/ui/segmented";
import { SelectorFields } from "@/ui/selector-fields";
import { type Draft, readSilence } from "./draft";

const HOUR = 3_600_000;

export function SilenceEditor({ organizationId, onDone }: { organizationId: string; onDone: () => void }) {
  const add = useAddSilence();
  const [draft, setDraft] = useState<Draft>(() => ({
    what: { servers: [], tags: [], rule: "" },
    kind: "once",
    starts: "",
    ends: localInput(hubNow() + HOUR),
    hours: nightHours(),
    comment: "",
  }));
  const [tried, setTried] = useState(false);
  const { faults } = readSilence(draft, organizationId, hubNow());
  const put = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
  const everything =
    draft.what.servers.length === 0 && draft.what.tags.length === 0 && draft.what.rule.trim() === "";
  return (
    <EditorFrame
      title="New silence"
      lead="What is still open at its end is told then. Agents keep to it while the hub is away."
      back="All silences"
      onBack={onDone}
      action="Silence"
      busy={add.isPending}
      problem={add.error}
      onSubmit={() => {
        setTried(true);
        const read = readSilence(draft, organizationId, hubNow());
        if (Object.keys(read.faults).length > 0) return false;
        add.mutate(read.wanted, { onSuccess: onDone });
        return true;
      }}
    >
      <Part
        title="What"
        lead={
          everything
            ? "Nothing chosen: this silences every alert of the organization."
            : "Alerts of these servers and tags, by this rule."
        }
      >
        <SelectorFields
          organizationId={organizationId}
          what={draft.what}
          onChange={(what) => put({ what })}
        />
      </Part>
      <Part title="When">
        <Segmented
          label="How often"
          value={draft.kind}
          onChange={(kind) => put({ kind, ends: kind === "recurring" ? "" : draft.ends })}
          className="self-start"
          options={[
            { value: "once", label: "Once" },
            { value: "recurring", label: "Again and again" },
          ]}
        />
        {draft.kind === "recurring" && (
          <HoursFields hours={draft.hours} onChange={(hours) => put({ hours })} />
        )}
        <div className="grid grid-cols-1 gap-3 sm:grid-cols-2">
          <Field
            label="Starts (optional)"
            type="datetime-local"
            hint="Empty: now."
            value={draft.starts}
            onChange={(event) => put({ starts: event.target.value })}
            fault={tried ? (faults.starts ?? null) : null}
          />
          <Field
            label="Ends (optional)"
            type="datetime-local"
            hint="Empty: when somebody ends it."
            value={draft.ends}
            onChange={(event) => put({ ends: event.target.value })}
            fault={tried ? (faults.ends ?? null) : null}
          />
        </div>
      </Part>
      <Part title="Why">
        <Field
          label="Comment (optional)"
          maxLength={500}
          autoComplete="off"
          value={draft.comment}
          onChange={(event) => put({ comment: event.target.value })}
        />
      </Part>
    </EditorFrame>
  );
}
