"use client";

import { useMemo, useState } from "react";
import type { Channel, ChannelKind } from "@/lib/api";
import { useFate } from "@/lib/fate";
import { useSaveChannel } from "@/lib/telling";
import { FateOfDraft, SECRETS_LOST } from "@/ui/changed";
import { EditorFrame, Part } from "@/ui/editor";
import { Field } from "@/ui/field";
import { Fields } from "@/ui/form/compound";
import { draftOfFields, optionsOf } from "@/ui/form/draft";
import { fieldsOf, type Json } from "@/ui/form/schema";
import { Switch } from "@/ui/inputs";

/** One channel being added or changed; the fields are those that its kind declares. */
export function ChannelEditor({
  organizationId,
  channel,
  live,
  kind,
  taken,
  onDone,
}: {
  organizationId: string;
  /** Null: a new one. */
  channel: Channel | null;
  /** As it is now; undefined: not stored, or no more. */
  live: Channel | undefined;
  /** Undefined: a kind that this hub does not have any more. */
  kind: ChannelKind | undefined;
  /** Names of the other channels. */
  taken: readonly string[];
  onDone: () => void;
}) {
  const save = useSaveChannel(organizationId);
  const fields = useMemo(() => fieldsOf(kind?.settings ?? {}), [kind]);
  const [settings, setSettings] = useState(() =>
    draftOfFields(fields, (channel?.settings ?? {}) as Record<string, Json>),
  );
  const [name, setName] = useState(channel?.name ?? freeName(kind?.title ?? "", taken));
  const [direct, setDirect] = useState(channel?.direct ?? true);
  const [fallback, setFallback] = useState(channel?.fallback ?? false);
  const [enabled, setEnabled] = useState(channel?.enabled ?? true);
  const [tried, setTried] = useState(false);
  const read = optionsOf(fields, settings, "settings");
  const nameFault =
    name.trim() === "" ? "Needed" : taken.includes(name.trim()) ? "Another channel is called so" : null;
  const { base, fate, problem, keep } = useFate(channel?.version ?? null, live?.version ?? null, save);
  return (
    <EditorFrame
      title={channel ? channel.name : `Add: ${kind?.title}`}
      lead={kind?.help ?? `This hub has no channels of the kind ${channel?.kind} any more.`}
      back="All channels"
      onBack={onDone}
      busy={save.isPending}
      problem={problem}
      notice={<FateOfDraft fate={fate} what="channel" lost={SECRETS_LOST} onKeep={keep} onReload={onDone} />}
      blocked={fate === "changed"}
      action={fate === "gone" ? "Save as a new channel" : undefined}
      onSubmit={() => {
        setTried(true);
        if (nameFault || read.faults.size > 0) return false;
        save.mutate(
          {
            id: fate === "gone" ? null : (channel?.id ?? null),
            wanted: {
              version: base ?? 0,
              name: name.trim(),
              kind: channel?.kind ?? kind?.kind ?? "",
              settings: read.options,
              direct,
              fallback,
              enabled,
            },
          },
          { onSuccess: onDone },
        );
        return true;
      }}
    >
      <Field
        label="Name"
        value={name}
        maxLength={100}
        autoComplete="off"
        onChange={(event) => setName(event.target.value)}
        fault={tried ? nameFault : null}
      />
      <Part title="Settings">
        <Fields
          fields={fields}
          draft={settings}
          onChange={setSettings}
          place="settings"
          faults={tried ? read.faults : new Map()}
        />
      </Part>
      <Part title="Use">
        <Switch
          label="Agents may speak on it themselves"
          hint="They are given its credentials, sealed, and tell people at once, also while the hub is away."
          checked={direct}
          onChange={setDirect}
        />
        <Switch
          label="Fallback"
          hint="It gets what another channel refuses."
          checked={fallback}
          onChange={setFallback}
        />
        <Switch label="On" hint="One that is off gets nothing." checked={enabled} onChange={setEnabled} />
      </Part>
    </EditorFrame>
  );
}

/** The kind's title, with a number where that is taken. */
function freeName(title: string, taken: readonly string[]): string {
  let name = title;
  for (let number = 2; taken.includes(name); number += 1) name = `${title} ${number}`;
  return name;
}
