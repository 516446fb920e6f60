"use client";

import { Plus, X } from "lucide-react";
import { useId } from "react";
import { count, say, unitTitle } from "@/lib/units";
import { Button } from "@/ui/button";
import { BOX, Field } from "@/ui/field";
import { Choice, Several, Suggested } from "@/ui/inputs";
import { amountOf, type Draft, type Kind, label } from "./draft";
import { unitOf, type Vocabulary } from "./vocabulary";

type Props = {
  draft: Draft;
  put: (change: Partial<Draft>) => void;
  faults: ReadonlyMap<string, string>;
  vocabulary: Vocabulary;
};

const KINDS: { value: Kind; label: string }[] = [
  { value: "sample", label: "A metric is beyond a limit" },
  { value: "forecast", label: "A metric will soon meet a limit" },
  { value: "no_data", label: "A metric has no samples" },
  { value: "check", label: "A check is not up" },
  { value: "probe", label: "A probe from outside fails" },
  { value: "silent", label: "The server gives no sign of life" },
];

/** When a rule alerts: what belongs to the kind of condition that is chosen. */
export function ConditionFields(props: Props) {
  const { draft, put, faults } = props;
  const { kind } = draft;
  return (
    <>
      <Choice label="Condition" value={kind} onChange={(next) => put({ kind: next })} options={KINDS} />
      {(kind === "sample" || kind === "forecast" || kind === "no_data") && <MetricFields {...props} />}
      {kind === "sample" && <LimitFields {...props} />}
      {kind === "forecast" && <ForecastFields {...props} />}
      {kind === "no_data" && <Span field="noData" label="For so long" {...props} />}
      {(kind === "check" || kind === "probe") && <OutcomeFields {...props} />}
      {kind === "silent" && <Span field="silent" label="For so long" {...props} />}
      {kind !== "silent" && (
        <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
          {kind !== "no_data" && (
            <Field
              label="It must be so for (optional)"
              placeholder="at once"
              hint="Such as 5m."
              value={draft.hold}
              onChange={(event) => put({ hold: event.target.value })}
              fault={faults.get("hold") ?? null}
            />
          )}
          <Field
            label="It must be well for (optional)"
            placeholder="at once"
            hint="Before it counts as over."
            value={draft.clearHold}
            onChange={(event) => put({ clearHold: event.target.value })}
            fault={faults.get("clearHold") ?? null}
          />
        </div>
      )}
    </>
  );
}

function MetricFields({ draft, put, faults, vocabulary }: Props) {
  const word = vocabulary.metrics.find(({ name }) => name === draft.metric.trim());
  const id = useId();
  return (
    <>
      <Suggested
        label="Metric"
        value={draft.metric}
        onChange={(metric) => put({ metric })}
        known={vocabulary.metrics.map(({ name, help }) => ({ value: name, label: help }))}
        placeholder="system.cpu.utilization"
        hint={
          word
            ? `${word.help} (${unitTitle(word.unit) || "a count"})`
            : draft.metric.trim()
              ? "No server of this organization declares it."
              : `${count(vocabulary.metrics.length)} metrics are known; type to find one.`
        }
        fault={faults.get("metric")}
      />
      <div role="group" aria-labelledby={`${id}-labels`}>
        <span id={`${id}-labels`} className="mb-1.5 block text-sm font-medium">
          Only series with these labels <span className="font-normal text-ink-3">optional</span>
        </span>
        <div className="flex flex-col gap-2">
          {draft.labels.map((each, index) => {
            const change = (next: Partial<typeof each>) =>
              put({ labels: draft.labels.map((old) => (old.id === each.id ? { ...old, ...next } : old)) });
            return (
              <div key={each.id} className="flex gap-1.5">
                <input
                  aria-label={`Label ${count(index + 1)}`}
                  list={`${id}-known`}
                  placeholder="label"
                  autoCapitalize="none"
                  spellCheck={false}
                  className={`${BOX} h-9 min-w-0 px-3`}
                  value={each.key}
                  onChange={(event) => change({ key: event.target.value })}
                />
                <input
                  aria-label={`Value of label ${count(index + 1)}`}
                  placeholder="value, * or !value"
                  autoCapitalize="none"
                  spellCheck={false}
                  className={`${BOX} h-9 min-w-0 px-3`}
                  value={each.value}
                  onChange={(event) => change({ value: event.target.value })}
                />
                <Button
                  kind="quiet"
                  size="icon"
                  className="h-9"
                  aria-label={`Remove label ${count(index + 1)}`}
                  onClick={() => put({ labels: draft.labels.filter(({ id: other }) => other !== each.id) })}
                >
                  <X aria-hidden />
                </Button>
              </div>
            );
          })}
          <datalist id={`${id}-known`}>
            {(word?.labels ?? []).map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
          <Button
            className="self-start"
            onClick={() => put({ labels: [...draft.labels, label(word?.labels[0] ?? "", "")] })}
          >
            <Plus aria-hidden />
            Add a label
          </Button>
        </div>
      </div>
    </>
  );
}

/** A number as it is typed, and how it reads in the metric's unit. */
function Amount({
  field,
  label: title,
  draft,
  put,
  faults,
  vocabulary,
  unit,
  placeholder,
}: Props & {
  field: "above" | "below" | "aboveClear" | "belowClear" | "target";
  label: string;
  unit?: string;
  placeholder?: string;
}) {
  const value = amountOf(draft[field]);
  const own = unit ?? unitOf(vocabulary, draft.metric.trim()) ?? "";
  return (
    <Field
      label={title}
      autoComplete="off"
      placeholder={placeholder}
      hint={value === null ? undefined : `= ${say(own, value)}`}
      value={draft[field]}
      onChange={(event) => put({ [field]: event.target.value })}
      fault={faults.get(field) ?? null}
    />
  );
}

const AGGREGATES: { value: Draft["aggregate"]; label: string }[] = [
  { value: "last", label: "Each sample" },
  { value: "mean", label: "Their mean" },
  { value: "min", label: "The lowest" },
  { value: "max", label: "The highest" },
  { value: "sum", label: "Their sum" },
  { value: "change", label: "Last less first" },
  { value: "rate", label: "Change per second" },
];

function LimitFields(props: Props) {
  const { draft, put, faults } = props;
  return (
    <>
      <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
        <Choice
          label="What is judged"
          value={draft.aggregate === "forecast" ? "last" : draft.aggregate}
          onChange={(aggregate) => put({ aggregate })}
          options={AGGREGATES}
        />
        {draft.aggregate !== "last" && (
          <Field
            label="Of the last"
            placeholder="5m"
            value={draft.window}
            onChange={(event) => put({ window: event.target.value })}
            fault={faults.get("window") ?? null}
          />
        )}
      </div>
      <div className="grid grid-cols-2 gap-4">
        <Amount {...props} field="above" label="Above" placeholder="0.9 or 90%" />
        <Amount {...props} field="below" label="Below" />
        {draft.above.trim() !== "" && <Amount {...props} field="aboveClear" label="Well again at or below" />}
        {draft.below.trim() !== "" && <Amount {...props} field="belowClear" label="Well again at or above" />}
      </div>
    </>
  );
}

function ForecastFields(props: Props) {
  const { draft, put, faults } = props;
  return (
    <div className="grid grid-cols-1 gap-4 sm:grid-cols-3">
      <Amount {...props} field="target" label="It will meet" placeholder="1 or 100%" />
      <Amount {...props} field="below" label="In less than" unit="s" placeholder="4h" />
      <Field
        label="Going on as in the last"
        placeholder="1h"
        value={draft.window}
        onChange={(event) => put({ window: event.target.value })}
        fault={faults.get("window") ?? null}
      />
    </div>
  );
}

function Span({
  field,
  label: title,
  draft,
  put,
  faults,
}: Props & { field: "noData" | "silent"; label: string }) {
  return (
    <Field
      label={title}
      placeholder="5m"
      className="max-w-60"
      hint="Such as 90s, 5m or 1h."
      value={draft[field]}
      onChange={(event) => put({ [field]: event.target.value })}
      fault={faults.get(field) ?? null}
    />
  );
}

function OutcomeFields({ draft, put, faults, vocabulary }: Props) {
  const isCheck = draft.kind === "check";
  return (
    <>
      <Suggested
        label={isCheck ? "Check" : "Probe"}
        hint="Its name, or a pattern with *."
        value={isCheck ? draft.check : draft.probe}
        onChange={(next) => put(isCheck ? { check: next } : { probe: next })}
        known={(isCheck ? vocabulary.checks : vocabulary.probes).map((value) => ({ value }))}
        placeholder={isCheck ? "systemd:nginx.service" : "*"}
        fault={faults.get(isCheck ? "check" : "probe")}
      />
      <Several
        label="Is"
        chosen={draft.states}
        onChange={(states) => put({ states })}
        options={[
          { value: "down", label: "Down" },
          { value: "degraded", label: "Degraded" },
          { value: "unknown", label: "Unknown" },
        ]}
        fault={faults.get("states")}
      />
      <div className="grid grid-cols-1 gap-4 sm:grid-cols-3">
        <Field
          label="So many times"
          inputMode="numeric"
          value={draft.times}
          onChange={(event) => put({ times: event.target.value })}
          fault={faults.get("times") ?? null}
        />
        <Field
          label="Of the last (optional)"
          inputMode="numeric"
          placeholder="in a row"
          value={draft.of}
          onChange={(event) => put({ of: event.target.value })}
          fault={faults.get("of") ?? null}
        />
        <Field
          label="Well again after"
          inputMode="numeric"
          hint="So many good ones in a row."
          value={draft.recover}
          onChange={(event) => put({ recover: event.target.value })}
          fault={faults.get("recover") ?? null}
        />
      </div>
    </>
  );
}
