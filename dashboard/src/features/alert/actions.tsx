"use client";

import { BellOff, CircleCheck, MessageSquare, UserCheck } from "lucide-react";
import { type FormEvent, useState } from "react";
import { type Deed, useDeed } from "@/lib/alerts";
import type { Alert } from "@/lib/api";
import { hubNow } from "@/lib/clock";
import { mayWrite, useRole } from "@/lib/organization";
import { useAddSilence } from "@/lib/telling";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Refusal } from "@/ui/faces";
import { Field } from "@/ui/field";
import { Area, Choice } from "@/ui/inputs";
import { LENGTHS, type Length, untilOf } from "./length";

/** What a person can do about an alert. A viewer can only look. */
export function Actions({ alert }: { alert: Alert }) {
  const role = useRole(alert.organization_id);
  const [open, setOpen] = useState<Deed | "silence" | null>(null);
  if (!mayWrite(role)) return null;
  const close = () => setOpen(null);
  const over = alert.state === "resolved";
  return (
    <div className="flex flex-wrap gap-2" role="group" aria-label="What to do">
      {alert.state === "firing" && (
        <Button kind="primary" onClick={() => setOpen("acknowledge")}>
          <UserCheck aria-hidden />
          Acknowledge
        </Button>
      )}
      <Button onClick={() => setOpen("comment")}>
        <MessageSquare aria-hidden />
        Comment
      </Button>
      {!over && (
        <>
          <Button onClick={() => setOpen("silence")}>
            <BellOff aria-hidden />
            Silence
          </Button>
          <Button onClick={() => setOpen("resolve")}>
            <CircleCheck aria-hidden />
            Resolve
          </Button>
        </>
      )}
      {(open === "acknowledge" || open === "comment" || open === "resolve") && (
        <DeedDialog key={open} alert={alert} deed={open} onClose={close} />
      )}
      {open === "silence" && <SilenceDialog alert={alert} onClose={close} />}
    </div>
  );
}

const WORDS: Record<Deed, { title: string; lead: string; label: string; action: string }> = {
  acknowledge: {
    title: "Acknowledge this alert",
    lead: "You see to it: nobody further is told, and nothing is repeated. Everybody here sees that it is you.",
    label: "What you are about to do (optional)",
    action: "Acknowledge",
  },
  comment: {
    title: "Comment on this alert",
    lead: "It becomes part of the timeline.",
    label: "Comment",
    action: "Comment",
  },
  resolve: {
    title: "Resolve this alert by hand",
    lead: "Everybody who was told hears that it is over. It fires anew only after it was well in between.",
    label: "Why it is over (optional)",
    action: "Resolve",
  },
};

function DeedDialog({ alert, deed, onClose }: { alert: Alert; deed: Deed; onClose: () => void }) {
  const run = useDeed(alert.id);
  const words = WORDS[deed];
  return (
    <Dialog open onClose={onClose} title={words.title} description={words.lead}>
      <form
        className="mt-4 flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          const text = String(new FormData(event.currentTarget).get("text")).trim();
          run.mutate({ deed, text }, { onSuccess: onClose });
        }}
      >
        <Area label={words.label} name="text" maxLength={4000} required={deed === "comment"} autoFocus />
        {run.error && <Refusal problem={run.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={run.isPending}>
            {words.action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function SilenceDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const add = useAddSilence();
  const [length, setLength] = useState<Length>("1h");
  const [what, setWhat] = useState<"this" | "server" | "rule">(alert.server_id === null ? "rule" : "this");
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const comment = String(new FormData(event.currentTarget).get("comment")).trim();
    add.mutate(
      {
        organization_id: alert.organization_id,
        comment,
        what: {
          servers: what === "rule" || alert.server_id === null ? [] : [alert.server_id],
          tags: [],
          rule: what === "server" ? "" : alert.rule,
        },
        ends_at: untilOf(length, hubNow()),
      },
      { onSuccess: onClose },
    );
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title="Silence it for a while"
      description="Alerts go on being recorded, and nobody is told. What is still open at the end is told then."
    >
      <form className="mt-4 flex flex-col gap-4" onSubmit={submit}>
        <Choice label="For how long" value={length} onChange={setLength} options={LENGTHS} />
        <Choice
          label="What"
          value={what}
          onChange={setWhat}
          options={[
            ...(alert.server_id === null
              ? []
              : [
                  { value: "this" as const, label: `“${alert.rule}” on ${alert.subject}` },
                  { value: "server" as const, label: `Everything on ${alert.subject}` },
                ]),
            { value: "rule" as const, label: `“${alert.rule}” everywhere` },
          ]}
        />
        <Field label="Why (optional)" name="comment" maxLength={500} autoComplete="off" />
        {add.error && <Refusal problem={add.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={add.isPending}>
            Silence
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
