"use client";

import { Plus, Send, Siren } from "lucide-react";
import { useState } from "react";
import { useLatency } from "@/lib/alerts";
import type { Channel, ChannelKind, Organization } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { useHeld } from "@/lib/fate";
import { mayRule, useOrganization } from "@/lib/organization";
import { useChannels, useDrill } from "@/lib/telling";
import { counted, say } from "@/lib/units";
import { editFields, useUrlState } from "@/lib/url";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { EmptyFace, Refusal } from "@/ui/faces";
import { Banner, Panel } from "@/ui/panel";
import { Section } from "@/ui/section";
import { Whole } from "@/ui/whole";
import { ChannelEditor } from "./editor";
import { KindPicker } from "./kinds";
import { ChannelRow } from "./row";

export function ChannelsView() {
  const { organization } = useOrganization();
  const query = useChannels(organization?.id);
  const [{ edit }] = useUrlState(editFields);
  const rules = mayRule(organization?.role);
  return (
    <Section
      title="Channels"
      lead={edit === "" ? "Where messages go. Policies say which alerts go to which of them." : undefined}
      organization={edit === ""}
      action={
        edit === "" &&
        query.data &&
        query.data.channels.length > 0 &&
        organization &&
        rules && <Head organization={organization} />
      }
    >
      <Whole query={query} what="channels">
        {({ channels, kinds }) =>
          organization ? (
            <Loaded organization={organization} channels={channels} kinds={kinds} rules={rules} />
          ) : null
        }
      </Whole>
    </Section>
  );
}

function Head({ organization }: { organization: Organization }) {
  const [, change] = useUrlState(editFields);
  const [asking, setAsking] = useState(false);
  const drill = useDrill(organization.id);
  return (
    <>
      <Button
        onClick={() => {
          drill.reset();
          setAsking(true);
        }}
      >
        <Siren aria-hidden />
        Drill
      </Button>
      <Button kind="primary" onClick={() => change({ edit: "new" }, "push")} data-testid="add-channel">
        <Plus aria-hidden />
        Add a channel
      </Button>
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Hold a drill?"
        description="A message that is marked as a drill goes down every path: from the hub to each channel, and from each agent that may speak itself. What comes of it stands beside each channel."
      >
        {drill.error && <Refusal problem={drill.error} className="mt-4" />}
        {drill.data && (
          <p role="status" className="mt-4 text-sm" data-testid="drill-begun">
            {counted(drill.data.paths, "path")} {drill.data.paths === 1 ? "is" : "are"} being tried.
          </p>
        )}
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={() => setAsking(false)}>{drill.data ? "Close" : "Cancel"}</Button>
          {!drill.data && (
            <Button kind="primary" busy={drill.isPending} onClick={() => drill.mutate()}>
              Hold the drill
            </Button>
          )}
        </div>
      </Dialog>
    </>
  );
}

function Loaded({
  organization,
  channels,
  kinds,
  rules,
}: {
  organization: Organization;
  channels: Channel[];
  kinds: ChannelKind[];
  rules: boolean;
}) {
  const [{ edit }, change] = useUrlState(editFields);
  const done = () => change({ edit: "" }, "push");
  const live = channels.find(({ id }) => id === edit);
  // Deleted by somebody else meanwhile: what is being typed stays.
  const known = useHeld(edit, live);
  const kind = kinds.find((each) => each.kind === (known?.kind ?? edit.replace(/^new:/, "")));
  if (rules && edit === "new")
    return (
      <KindPicker
        kinds={kinds}
        onChoose={(chosen) => change({ edit: `new:${chosen}` }, "push")}
        onBack={done}
      />
    );
  if (rules && (known || (edit.startsWith("new:") && kind)))
    return (
      <ChannelEditor
        key={edit}
        organizationId={organization.id}
        channel={known ?? null}
        live={live}
        kind={kind}
        taken={channels.filter(({ id }) => id !== edit).map(({ name }) => name)}
        onDone={done}
      />
    );
  if (channels.length === 0)
    return (
      <Panel>
        <EmptyFace
          icon={<Send aria-hidden />}
          title="There is nobody to tell yet"
          className="py-20"
          action={
            rules && (
              <Button
                kind="primary"
                onClick={() => change({ edit: "new" }, "push")}
                data-testid="add-channel"
              >
                <Plus aria-hidden />
                Add the first channel
              </Button>
            )
          }
        >
          Alerts are recorded all the same. Add an address, a Slack channel or a phone, and press Test.
        </EmptyFace>
      </Panel>
    );
  return (
    <div className="flex flex-col gap-4">
      <Latency organizationId={organization.id} />
      <List channels={channels} kinds={kinds} rules={rules} onEdit={(id) => change({ edit: id }, "push")} />
    </div>
  );
}

function List({
  channels,
  kinds,
  rules,
  onEdit,
}: {
  channels: Channel[];
  kinds: ChannelKind[];
  rules: boolean;
  onEdit: (id: string) => void;
}) {
  const now = useNow(1000);
  return (
    <Panel className="overflow-hidden">
      <ul className="divide-y divide-line" aria-label="Channels">
        {channels.map((channel) => (
          <ChannelRow
            key={channel.id}
            channel={channel}
            title={kinds.find(({ kind }) => kind === channel.kind)?.title ?? channel.kind}
            now={now}
            rules={rules}
            onEdit={() => onEdit(channel.id)}
          />
        ))}
      </ul>
    </Panel>
  );
}

/** How fast people were told: a figure of the product. */
function Latency({ organizationId }: { organizationId: string }) {
  const { data } = useLatency(organizationId);
  if (!data || data.count === 0 || data.p50 === null) return null;
  return (
    <Banner icon={<Siren aria-hidden />} testId="latency">
      Of {counted(data.count, "alert")} in {counted(data.days, "day")}, half were told within{" "}
      <strong className="font-medium text-ink">{say("s", data.p50)}</strong> of becoming true, 95% within{" "}
      <strong className="font-medium text-ink">{say("s", data.p95)}</strong>; the slowest took{" "}
      {say("s", data.longest)}.
    </Banner>
  );
}
