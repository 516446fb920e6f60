"use client";

import { useState } from "react";
import type { Rule, ScopedRule, StoredRule } from "@/lib/api";
import { useServers } from "@/lib/data";
import { useFate } from "@/lib/fate";
import { useSaveRule } from "@/lib/telling";
import { ruleInWords } from "@/lib/words";
import { FateOfDraft } from "@/ui/changed";
import { EditorFrame, Part } from "@/ui/editor";
import { Field } from "@/ui/field";
import { Area, Choice, Suggested, Switch } from "@/ui/inputs";
import { SEVERITIES } from "@/ui/severity";
import { ConditionFields } from "./condition";
import { type Draft, draftOf, readRule } from "./draft";
import { unitOf, type Vocabulary } from "./vocabulary";

function scopeOf(serverId: string | null): Omit<ScopedRule, "rule"> {
  return { scope: serverId === null ? "organization" : "server", tag: "", server_id: serverId };
}

export function RuleEditor({
  organizationId,
  stored,
  live,
  serverId,
  model,
  vocabulary,
  onDone,
}: {
  organizationId: string;
  /** Null: a new one. */
  stored: StoredRule | null;
  /** As it is now; undefined: not stored, or no more. */
  live: StoredRule | undefined;
  /** A new one is for this server; null: for all. */
  serverId: string | null;
  /** What the fields begin with. */
  model: Rule;
  vocabulary: Vocabulary;
  onDone: () => void;
}) {
  const save = useSaveRule(organizationId);
  const [draft, setDraft] = useState(() => draftOf(model, stored ?? scopeOf(serverId)));
  const [tried, setTried] = useState(false);
  const read = readRule(draft);
  const faults = tried ? read.faults : new Map<string, string>();
  const put = (change: Partial<Draft>) => setDraft((before) => ({ ...before, ...change }));
  const unit = unitOf(vocabulary, draft.metric.trim()) ?? "";
  const { base, fate, problem, keep } = useFate(stored?.version ?? null, live?.version ?? null, save);
  return (
    <EditorFrame
      title={stored ? stored.rule.name : model.name ? `Adapt: ${model.name}` : "New rule"}
      lead={
        !stored && model.name
          ? "Under the same name it takes the place of the rule that comes along."
          : "Servers judge by it within seconds, also while the hub is away."
      }
      back="All rules"
      onBack={onDone}
      busy={save.isPending}
      problem={problem}
      notice={
        <FateOfDraft
          fate={fate}
          what="rule"
          by={live?.author}
          at={live?.updated_at}
          onKeep={keep}
          onReload={onDone}
        >
          {live && `Now: ${ruleInWords(live.rule, unitOf(vocabulary, live.rule.metric) ?? "")}.`}
        </FateOfDraft>
      }
      blocked={fate === "changed"}
      action={fate === "gone" ? "Save as a new rule" : undefined}
      onSubmit={() => {
        setTried(true);
        if (read.faults.size > 0) return false;
        const known =
          stored === null || base === null || fate === "gone" ? null : { id: stored.id, version: base };
        save.mutate({ known, wanted: read.wanted }, { onSuccess: onDone });
        return true;
      }}
    >
      <div className="grid grid-cols-1 gap-4 sm:grid-cols-[minmax(0,1fr)_10rem]">
        <Field
          label="Name"
          value={draft.name}
          maxLength={128}
          autoComplete="off"
          onChange={(event) => put({ name: event.target.value })}
          fault={faults.get("name") ?? null}
        />
        <Choice
          label="Severity"
          value={draft.severity}
          onChange={(severity) => put({ severity })}
          options={(draft.kind === "silent"
            ? (["down", "critical", "warning"] as const)
            : (["critical", "warning"] as const)
          ).map((value) => ({ value, label: SEVERITIES[value].word }))}
        />
      </div>
      <ScopeFields organizationId={organizationId} draft={draft} put={put} faults={faults} />
      <Part title="Alert when">
        <ConditionFields draft={draft} put={put} faults={faults} vocabulary={vocabulary} />
        <p
          className="rounded-lg bg-sunken px-3 py-2 text-sm text-ink-2"
          aria-live="polite"
          data-testid="in-words"
        >
          {ruleInWords(read.wanted.rule, unit) || "Nothing yet"}
        </p>
      </Part>
      <Part title="Besides">
        <Area
          label="Message (optional)"
          rows={2}
          maxLength={500}
          hint="With {server}, {value}, {threshold}, {check}, {message}, {for} and labels such as {system.device}. Empty: what fits the condition."
          value={draft.message}
          onChange={(event) => put({ message: event.target.value })}
        />
        <Choice
          label="Who tells first"
          className="max-w-80"
          value={draft.order}
          onChange={(order) => put({ order })}
          options={[
            { value: "" as const, label: "As the severity has it" },
            { value: "agent_first" as const, label: "The agent, at once" },
            { value: "hub_first" as const, label: "The hub; the agent if it does not answer" },
          ]}
        />
        <Switch
          label="On"
          hint="Off, it also switches off a rule of this name that comes along."
          checked={draft.enabled}
          onChange={(enabled) => put({ enabled })}
        />
      </Part>
    </EditorFrame>
  );
}

function ScopeFields({
  organizationId,
  draft,
  put,
  faults,
}: {
  organizationId: string;
  draft: Draft;
  put: (change: Partial<Draft>) => void;
  faults: ReadonlyMap<string, string>;
}) {
  const servers = (useServers().data ?? []).filter((server) => server.organization_id === organizationId);
  return (
    <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
      <Choice
        label="For"
        value={draft.scope}
        onChange={(scope) => put({ scope })}
        options={[
          { value: "organization" as const, label: "All servers" },
          { value: "tag" as const, label: "Servers with a tag" },
          { value: "server" as const, label: "One server" },
        ]}
      />
      {draft.scope === "tag" && (
        <Suggested
          label="Tag"
          value={draft.tag}
          onChange={(tag) => put({ tag })}
          known={[...new Set(servers.flatMap(({ tags }) => tags))].sort().map((value) => ({ value }))}
          fault={faults.get("tag")}
        />
      )}
      {draft.scope === "server" && (
        <Choice
          label="Server"
          value={draft.serverId}
          onChange={(serverId) => put({ serverId })}
          options={[
            ...(draft.serverId === "" ? [{ value: "", label: "Choose one" }] : []),
            ...servers.map(({ id, name }) => ({ value: id, label: name })),
          ]}
          fault={faults.get("serverId")}
        />
      )}
    </div>
  );
}
