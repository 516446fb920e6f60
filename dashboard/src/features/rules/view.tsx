"use client";

import { BellRing, PencilLine, Plus, SearchIcon } from "lucide-react";
import { useMemo, useState } from "react";
import type { DefaultRule, Organization, StoredRule } from "@/lib/api";
import { classes } from "@/lib/classes";
import { useServers } from "@/lib/data";
import { useHeld } from "@/lib/fate";
import { mayWrite, useOrganization } from "@/lib/organization";
import { useProbes } from "@/lib/probes";
import { useDeleteRule, useRules, useSaveRule, useVocabulary } from "@/lib/telling";
import { counted, moment } from "@/lib/units";
import { ruleFields, useUrlState } from "@/lib/url";
import { ruleInWords, scopeInWords } from "@/lib/words";
import { Button } from "@/ui/button";
import { EmptyFace, Refusal } from "@/ui/faces";
import { Search } from "@/ui/field";
import { ItemMenu } from "@/ui/item-menu";
import { Panel } from "@/ui/panel";
import { Section } from "@/ui/section";
import { SeverityIcon } from "@/ui/severity";
import { Tag } from "@/ui/tag";
import { Whole } from "@/ui/whole";
import { BLANK } from "./draft";
import { RuleEditor } from "./editor";
import { type DefaultRow, groupsOf, isSwitchOff, ownRules } from "./standing";
import { unitOf, type Vocabulary, vocabularyOf } from "./vocabulary";

export function RulesView() {
  const { organization } = useOrganization();
  const query = useRules(organization?.id);
  const [{ edit }, change] = useUrlState(ruleFields);
  const writes = mayWrite(organization?.role);
  return (
    <Section
      title="Rules"
      lead={
        edit === ""
          ? "When something becomes an alert. Of rules of one name the nearest to a server counts."
          : undefined
      }
      organization={edit === ""}
      action={
        edit === "" &&
        writes && (
          <Button
            kind="primary"
            onClick={() => change({ edit: "new", of: "", server: "" }, "push")}
            data-testid="add-rule"
          >
            <Plus aria-hidden />
            New rule
          </Button>
        )
      }
    >
      <Whole query={query} what="rules">
        {({ rules, defaults }) =>
          organization ? (
            <Loaded organization={organization} rules={rules} defaults={defaults} writes={writes} />
          ) : null
        }
      </Whole>
    </Section>
  );
}

function Loaded({
  organization,
  rules,
  defaults,
  writes,
}: {
  organization: Organization;
  rules: StoredRule[];
  defaults: DefaultRule[];
  writes: boolean;
}) {
  const [{ edit, of, server }, change] = useUrlState(ruleFields);
  const servers = useServers().data;
  const ids = useMemo(
    () => (servers ?? []).filter((each) => each.organization_id === organization.id).map(({ id }) => id),
    [servers, organization.id],
  );
  const { catalogues, checks } = useVocabulary(ids);
  const probes = useProbes(organization.id).data?.probes ?? [];
  const vocabulary = vocabularyOf(
    catalogues,
    checks,
    probes.map(({ name }) => name),
  );
  const done = () => change({ edit: "", of: "", server: "" }, "push");
  const live = rules.find(({ id }) => id === edit);
  // Deleted by somebody else meanwhile: what is being typed stays.
  const known = useHeld(edit, live);
  const model = defaults.find(({ rule }) => rule.name === of);
  if (writes && (edit === "new" || known))
    return (
      <RuleEditor
        key={`${edit} ${of} ${server}`}
        organizationId={organization.id}
        stored={known ?? null}
        live={live}
        serverId={ids.includes(server) ? server : null}
        model={known?.rule ?? model?.rule ?? BLANK}
        vocabulary={vocabulary}
        onDone={done}
      />
    );
  return (
    <Lists
      organizationId={organization.id}
      rules={rules}
      defaults={defaults}
      vocabulary={vocabulary}
      writes={writes}
      onEdit={(next, like = "") => change({ edit: next, of: like }, "push")}
    />
  );
}

function Lists({
  organizationId,
  rules,
  defaults,
  vocabulary,
  writes,
  onEdit,
}: {
  organizationId: string;
  rules: StoredRule[];
  defaults: DefaultRule[];
  vocabulary: Vocabulary;
  writes: boolean;
  onEdit: (edit: string, of?: string) => void;
}) {
  const [words, setWords] = useState("");
  const groups = groupsOf(defaults, rules);
  const says = (text: string) => text.toLowerCase().includes(words.trim().toLowerCase());
  const own = ownRules(rules, groups).filter(({ rule, tag }) =>
    says(`${rule.name} ${rule.metric} ${rule.check} ${rule.probe} ${tag}`),
  );
  const shown = groups
    .map(({ monitor, rows }) => ({
      monitor,
      rows: rows.filter(({ given: { rule } }) => says(`${rule.name} ${rule.metric} ${rule.check}`)),
    }))
    .filter(({ rows }) => rows.length > 0);
  return (
    <div className="flex flex-col gap-6">
      {rules.length + defaults.length > 8 && (
        <Search
          icon={<SearchIcon aria-hidden />}
          aria-label="Filter rules"
          placeholder="Filter by name, metric or check"
          className="w-full sm:w-72"
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
      )}
      <section aria-label="Your rules">
        <h2 className="mb-2 text-base font-semibold tracking-tight">Your rules</h2>
        <Panel className="overflow-hidden">
          {own.length === 0 ? (
            <EmptyFace
              icon={<BellRing aria-hidden />}
              title={words ? "None of yours matches" : "None of your own yet"}
              className="py-10"
            >
              The rules below come along and count already. Adapt one of them, or write your own.
            </EmptyFace>
          ) : (
            <ul className="divide-y divide-line">
              {own.map((stored) => (
                <OwnRule
                  key={stored.id}
                  stored={stored}
                  unit={unitOf(vocabulary, stored.rule.metric) ?? ""}
                  writes={writes}
                  onEdit={() => onEdit(stored.id)}
                />
              ))}
            </ul>
          )}
        </Panel>
      </section>
      {shown.map(({ monitor, rows }) => (
        <section key={monitor} aria-label={monitor || "Twinwatch itself"}>
          <h2 className="mb-2 text-base font-semibold tracking-tight">
            {monitor || "Twinwatch itself"} <span className="font-normal text-ink-3">comes along</span>
          </h2>
          <Panel className="overflow-hidden">
            <ul className="divide-y divide-line">
              {rows.map((row) => (
                <Default
                  key={row.given.rule.name}
                  organizationId={organizationId}
                  row={row}
                  unit={unitOf(vocabulary, row.given.rule.metric) ?? ""}
                  writes={writes}
                  onAdapt={() => onEdit("new", row.given.rule.name)}
                />
              ))}
            </ul>
          </Panel>
        </section>
      ))}
      {defaults.length === 0 && !words && (
        <p className="text-sm text-ink-3">No server has told of the rules that come along yet.</p>
      )}
    </div>
  );
}

function OwnRule({
  stored,
  unit,
  writes,
  onEdit,
}: {
  stored: StoredRule;
  unit: string;
  writes: boolean;
  onEdit: () => void;
}) {
  const servers = useServers().data ?? [];
  const remove = useDeleteRule();
  const { rule } = stored;
  return (
    <li data-testid="rule" data-rule={rule.name} className="flex items-start gap-3 px-4 py-3">
      <SeverityIcon
        severity={rule.severity}
        className={classes("mt-0.5", !rule.enabled && "opacity-50 grayscale")}
      />
      <div className={classes("min-w-0 flex-1", !rule.enabled && "opacity-65")}>
        <p className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
          <span className="font-medium wrap-anywhere">{rule.name}</span>
          <Tag>{scopeInWords(stored, servers)}</Tag>
          {!rule.enabled && <Tag tone="late">off</Tag>}
        </p>
        <p className="text-sm wrap-anywhere text-ink-2">{ruleInWords(rule, unit)}</p>
        <p className="text-xs text-ink-3">
          {stored.author && `${stored.author}, `}
          {moment(stored.updated_at)}
        </p>
      </div>
      {writes && (
        <ItemMenu
          name={rule.name}
          kind="rule"
          quiet
          onEdit={onEdit}
          lost="What it has fired ends. A rule of the same name that comes along counts again."
          remove={() => remove.mutateAsync(stored.id)}
        />
      )}
    </li>
  );
}

function Default({
  organizationId,
  row,
  unit,
  writes,
  onAdapt,
}: {
  organizationId: string;
  row: DefaultRow;
  unit: string;
  writes: boolean;
  onAdapt: () => void;
}) {
  const save = useSaveRule(organizationId);
  const remove = useDeleteRule();
  const { rule, servers } = row.given;
  const off = isSwitchOff(row);
  const adapted = row.saved !== null && !off;
  const busy = save.isPending || remove.isPending;
  const turn = () => {
    if (off && row.saved) remove.mutate(row.saved.id);
    else
      save.mutate({
        known: null,
        wanted: { scope: "organization", tag: "", server_id: null, rule: { ...rule, enabled: false } },
      });
  };
  const problem = save.error ?? remove.error;
  return (
    <li data-testid="default-rule" data-rule={rule.name} data-on={!off && !adapted} className="px-4 py-3">
      <div className="flex flex-wrap items-start gap-x-3 gap-y-2">
        <SeverityIcon
          severity={rule.severity}
          className={classes("mt-0.5", (off || adapted) && "opacity-50 grayscale")}
        />
        <div className={classes("min-w-0 flex-1 basis-48", (off || adapted) && "opacity-65")}>
          <p className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
            <span className="font-medium wrap-anywhere">{rule.name}</span>
            {off && <Tag tone="late">off</Tag>}
            {adapted && <Tag title="One of your rules has taken its place">adapted above</Tag>}
          </p>
          <p className="text-sm wrap-anywhere text-ink-2">{ruleInWords(rule, unit)}</p>
          {servers > 0 && <p className="text-xs text-ink-3">on {counted(servers, "server")}</p>}
        </div>
        {writes && !adapted && (
          <div className="flex gap-2">
            {!off && (
              <Button kind="quiet" onClick={onAdapt} aria-label={`Adapt ${rule.name}`}>
                <PencilLine aria-hidden />
                Adapt
              </Button>
            )}
            <Button busy={busy} onClick={turn} aria-label={`Switch ${off ? "on" : "off"}: ${rule.name}`}>
              {off ? "Switch on" : "Switch off"}
            </Button>
          </div>
        )}
      </div>
      {problem && <Refusal problem={problem} className="mt-2" />}
    </li>
  );
}
