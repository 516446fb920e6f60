"use client";

import { ArrowDown, ArrowUp, MoonStar, PencilLine, Plus, Route, Trash2 } from "lucide-react";
import { useState } from "react";
import type { Channel, ChannelKind, Policies, Policy } from "@/lib/api";
import { useServers } from "@/lib/data";
import { useHeld } from "@/lib/fate";
import { mayRule, useOrganization } from "@/lib/organization";
import { useChannels, usePolicies, useSavePolicies } from "@/lib/telling";
import { count } from "@/lib/units";
import { editFields, useUrlState } from "@/lib/url";
import { addresseeInWords, hoursInWords, repeatInWords, selectorInWords, stepTime } from "@/lib/words";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { EmptyFace, Refusal } from "@/ui/faces";
import { Panel } from "@/ui/panel";
import { Section } from "@/ui/section";
import { SeverityBadge } from "@/ui/severity";
import { Tag } from "@/ui/tag";
import { Whole } from "@/ui/whole";
import { moved, tellsNobody } from "./draft";
import { PolicyEditor } from "./editor";

export function PoliciesView() {
  const { organization } = useOrganization();
  const query = usePolicies(organization?.id);
  const channels = useChannels(organization?.id).data;
  const [{ edit }, change] = useUrlState(editFields);
  const rules = mayRule(organization?.role);
  const live = query.data?.policies.find(({ id }) => id === edit);
  // Deleted by somebody else meanwhile: what is being typed stays.
  const known = useHeld(edit, live);
  const add = rules && (
    <Button kind="primary" onClick={() => change({ edit: "new" }, "push")} data-testid="add-policy">
      <Plus aria-hidden />
      New policy
    </Button>
  );
  return (
    <Section
      title="Policies"
      lead={
        edit === ""
          ? "Which alerts go to whom, in steps. Of several, the first that admits an alert has it."
          : undefined
      }
      organization={edit === ""}
      action={edit === "" && query.data?.policies.length ? add : undefined}
    >
      <Whole query={query} what="policies">
        {(all) => {
          if (organization === undefined) return null;
          if (rules && (edit === "new" || known))
            return (
              <PolicyEditor
                key={edit}
                organizationId={organization.id}
                all={all}
                policy={known ?? null}
                live={live}
                channels={channels?.channels ?? []}
                kinds={channels?.kinds ?? []}
                onDone={() => change({ edit: "" }, "push")}
              />
            );
          if (all.policies.length === 0)
            return (
              <Panel>
                <EmptyFace icon={<Route aria-hidden />} title="Nobody is told" className="py-20" action={add}>
                  Alerts are recorded all the same. A policy says who is told of which of them, and who is
                  next when nobody answers.
                </EmptyFace>
              </Panel>
            );
          return (
            <List
              organizationId={organization.id}
              all={all}
              channels={channels?.channels ?? []}
              kinds={channels?.kinds ?? []}
              rules={rules}
              onEdit={(id) => change({ edit: id }, "push")}
            />
          );
        }}
      </Whole>
    </Section>
  );
}

function List({
  organizationId,
  all: { policies, version },
  channels,
  kinds,
  rules,
  onEdit,
}: {
  organizationId: string;
  all: Policies;
  channels: Channel[];
  kinds: ChannelKind[];
  rules: boolean;
  onEdit: (id: string) => void;
}) {
  const save = useSavePolicies(organizationId);
  const [asking, setAsking] = useState<Policy | null>(null);
  return (
    <div className="flex flex-col gap-3">
      {save.error && <Refusal problem={save.error} />}
      <ol className="flex flex-col gap-3" aria-label="Policies">
        {policies.map((policy, index) => (
          <li key={policy.id} data-testid="policy" data-policy={policy.name}>
            <Panel className="px-4 py-3">
              <div className="flex flex-wrap items-start gap-x-4 gap-y-2">
                <Said policy={policy} place={index + 1} channels={channels} kinds={kinds} />
                {rules && (
                  <div className="flex gap-1">
                    <Button
                      kind="quiet"
                      size="icon"
                      aria-label={`Move ${policy.name} up`}
                      disabled={index === 0 || save.isPending}
                      onClick={() => save.mutate({ version, policies: moved(policies, index, -1) })}
                    >
                      <ArrowUp aria-hidden />
                    </Button>
                    <Button
                      kind="quiet"
                      size="icon"
                      aria-label={`Move ${policy.name} down`}
                      disabled={index === policies.length - 1 || save.isPending}
                      onClick={() => save.mutate({ version, policies: moved(policies, index, 1) })}
                    >
                      <ArrowDown aria-hidden />
                    </Button>
                    <Button
                      kind="quiet"
                      size="icon"
                      aria-label={`Change ${policy.name}`}
                      onClick={() => onEdit(policy.id ?? "")}
                    >
                      <PencilLine aria-hidden />
                    </Button>
                    <Button
                      kind="quiet"
                      size="icon"
                      aria-label={`Delete ${policy.name}`}
                      onClick={() => setAsking(policy)}
                    >
                      <Trash2 aria-hidden />
                    </Button>
                  </div>
                )}
              </div>
            </Panel>
          </li>
        ))}
      </ol>
      <Confirm
        open={asking !== null}
        onClose={() => setAsking(null)}
        title={`Delete ${asking?.name}?`}
        description="Alerts that only it admits are recorded from now on, and nobody is told."
        action="Delete the policy"
        run={() => save.mutateAsync({ version, policies: policies.filter(({ id }) => id !== asking?.id) })}
      />
    </div>
  );
}

function Said({
  policy,
  place,
  channels,
  kinds,
}: {
  policy: Policy;
  place: number;
  channels: Channel[];
  kinds: ChannelKind[];
}) {
  const servers = useServers().data ?? [];
  const whole = policy.what.servers.length === 0 && policy.what.tags.length === 0 && !policy.what.rule;
  return (
    <div className="min-w-0 flex-1 basis-64">
      <h2 className="flex flex-wrap items-center gap-x-2 gap-y-1 font-medium">
        <span className="text-ink-3">{count(place)}.</span>
        <span className="wrap-anywhere">{policy.name}</span>
        {policy.severities.length === 0 ? (
          <Tag>any severity</Tag>
        ) : (
          policy.severities.map((severity) => <SeverityBadge key={severity} severity={severity} />)
        )}
        {tellsNobody(policy) && <Tag tone="late">tells nobody</Tag>}
      </h2>
      {!whole && <p className="text-sm wrap-anywhere text-ink-2">{selectorInWords(policy.what, servers)}</p>}
      <ol className="mt-1.5 flex flex-col gap-1 text-sm" aria-label={`Steps of ${policy.name}`}>
        {policy.steps.map((step) => (
          <li key={step.after_seconds} className="flex gap-3">
            <span className="w-24 shrink-0 text-ink-3">{stepTime(step.after_seconds)}</span>
            <span className="min-w-0 wrap-anywhere">
              {step.channels.length === 0
                ? "nobody"
                : step.channels.map((named) => addresseeInWords(named, channels, kinds)).join(", ")}
            </span>
          </li>
        ))}
      </ol>
      <p className="mt-1.5 text-xs text-ink-3">{repeatInWords(policy)}</p>
      {policy.quiet && (
        <p className="mt-0.5 flex items-center gap-1.5 text-xs text-ink-3">
          <MoonStar className="size-3 shrink-0" aria-hidden />
          quiet {hoursInWords(policy.quiet)}
          {policy.quiet_holds_down ? ", servers that are down too" : ", except for servers that are down"}
        </p>
      )}
    </div>
  );
}
