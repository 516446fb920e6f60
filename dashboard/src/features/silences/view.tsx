"use client";

import { BellOff, Plus, Repeat } from "lucide-react";
import { useState } from "react";
import type { Silence } from "@/lib/api";
import { classes } from "@/lib/classes";
import { hubNow, useNow } from "@/lib/clock";
import { useServers } from "@/lib/data";
import { mayWrite, useOrganization } from "@/lib/organization";
import { useEndSilence, useSilences } from "@/lib/telling";
import { duration, moment } from "@/lib/units";
import { editFields, useUrlState } from "@/lib/url";
import { hoursInWords, selectorInWords } from "@/lib/words";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { EmptyFace } from "@/ui/faces";
import { Panel } from "@/ui/panel";
import { Section } from "@/ui/section";
import { Tag } from "@/ui/tag";
import { Whole } from "@/ui/whole";
import { inOrder, type Standing, standingOf } from "./draft";
import { SilenceEditor } from "./editor";

export function SilencesView() {
  const { organization } = useOrganization();
  const [{ edit }, change] = useUrlState(editFields);
  const query = useSilences(organization?.id);
  const writes = mayWrite(organization?.role);
  const add = writes && (
    <Button kind="primary" onClick={() => change({ edit: "new" }, "push")}>
      <Plus aria-hidden />
      New silence
    </Button>
  );
  if (edit === "new" && writes && organization)
    return (
      <Section title="Silences">
        <SilenceEditor organizationId={organization.id} onDone={() => change({ edit: "" }, "push")} />
      </Section>
    );
  return (
    <Section
      title="Silences"
      lead="Times in which alerts are recorded and nobody is told: maintenance, or what is known."
      organization
      action={query.data?.length ? add : undefined}
    >
      <Whole query={query} what="silences">
        {(silences) =>
          silences.length === 0 ? (
            <Panel>
              <EmptyFace
                icon={<BellOff aria-hidden />}
                title="Nothing is silenced"
                className="py-20"
                action={add}
              >
                Make a silence before you work on a server, so that nobody is called for what you do.
              </EmptyFace>
            </Panel>
          ) : (
            <Silences silences={silences} writes={writes} />
          )
        }
      </Whole>
    </Section>
  );
}

function Silences({ silences, writes }: { silences: Silence[]; writes: boolean }) {
  const now = useNow(1000) || hubNow();
  return (
    <Panel className="overflow-hidden">
      <ul className="divide-y divide-line" aria-label="Silences" data-testid="silences">
        {inOrder(silences, now).map((silence) => (
          <SilenceRow key={silence.id} silence={silence} now={now} writes={writes} />
        ))}
      </ul>
    </Panel>
  );
}

const STANDINGS: Record<Standing, { word: string; tone: "late" | "plain" }> = {
  holds: { word: "holds now", tone: "late" },
  waits: { word: "waits for its hours", tone: "plain" },
  coming: { word: "to come", tone: "plain" },
  over: { word: "over", tone: "plain" },
};

function SilenceRow({ silence, now, writes }: { silence: Silence; now: number; writes: boolean }) {
  const servers = useServers().data ?? [];
  const end = useEndSilence();
  const [asking, setAsking] = useState(false);
  const standing = standingOf(silence, now);
  const what = selectorInWords(silence.what, servers);
  return (
    <li
      data-testid="silence"
      data-standing={standing}
      className={classes(
        "flex flex-wrap items-start gap-x-4 gap-y-2 px-4 py-3",
        standing === "over" && "opacity-65",
      )}
    >
      <div className="min-w-0 flex-1 basis-56">
        <p className="flex flex-wrap items-center gap-2">
          <span className="font-medium wrap-anywhere">{what}</span>
          <Tag tone={STANDINGS[standing].tone}>{STANDINGS[standing].word}</Tag>
        </p>
        {silence.comment && <p className="text-sm break-words text-ink-2">{silence.comment}</p>}
        <p className="flex flex-wrap items-center gap-x-1.5 text-xs text-ink-3">
          {silence.again && (
            <>
              <Repeat aria-hidden className="size-3" />
              <span>{hoursInWords(silence.again)};</span>
            </>
          )}
          <span>{spanInWords(silence, now)}</span>
          {silence.author && <span className="wrap-anywhere">· {silence.author}</span>}
        </p>
      </div>
      {writes && standing !== "over" && (
        <Button onClick={() => setAsking(true)} aria-label={`End the silence of ${what}`}>
          End now
        </Button>
      )}
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title="End this silence?"
        description={`${what}: alerts that are open are told at once.`}
        action="End it now"
        run={() => end.mutateAsync(silence.id)}
      />
    </li>
  );
}

/** Beyond this nobody counts the days. */
const LONG_MS = 30 * 86_400_000;

function spanInWords({ starts_at, ends_at }: Silence, now: number): string {
  if (ends_at !== null && ends_at <= now) return `ended ${moment(ends_at)}`;
  const until = ends_at === null ? "until somebody ends it" : `until ${moment(ends_at)}`;
  if (starts_at > now) return `from ${moment(starts_at)} ${until}`;
  if (ends_at === null) return `since ${moment(starts_at)}, ${until}`;
  return ends_at - now > LONG_MS ? until : `${until}, ${duration((ends_at - now) / 1000)} more`;
}
