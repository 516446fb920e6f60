"use client";

import { ChevronDown } from "lucide-react";
import Link from "next/link";
import type { AlertDetail, Notification } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { moment, say, tries } from "@/lib/units";
import { Panel } from "@/ui/panel";
import { Tag } from "@/ui/tag";
import { fareOf, OCCASIONS } from "./story";

/** Every message about the alert, with each try. */
export function Deliveries({ detail }: { detail: AlertDetail }) {
  const now = useNow(5000);
  const notes = detail.notifications;
  return (
    <Panel>
      <h2 className="border-b border-line px-4 py-3 text-base font-semibold tracking-tight">Messages</h2>
      {notes.length === 0 ? (
        <p className="px-4 py-4 text-sm text-ink-2">
          No message was written.{" "}
          {detail.policy === null && (
            <>
              No policy admits it.{" "}
              <Link href="/policies/" className="font-medium text-accent-ink underline underline-offset-4">
                See who is told of what
              </Link>
              .
            </>
          )}
        </p>
      ) : (
        <ul className="divide-y divide-line" aria-label="Messages" data-testid="deliveries">
          {notes.map((note) => (
            <Message key={note.id} note={note} now={now} />
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Message({ note, now }: { note: Notification; now: number }) {
  const { word, tone } = fareOf(note, now);
  const at = note.done_at ?? note.due_at;
  return (
    <li className="px-4 py-2.5" data-testid="delivery" data-state={note.state}>
      <div className="flex flex-wrap items-center gap-x-2 gap-y-0.5 text-sm">
        <span className="font-medium wrap-anywhere">{note.channel}</span>
        <Tag tone={tone}>{word}</Tag>
        <span className="text-ink-2">
          by the {note.teller}, because {OCCASIONS[note.occasion] ?? note.occasion}
        </span>
        <span className="ml-auto text-xs whitespace-nowrap text-ink-3">
          {note.state === "waiting" && note.due_at > now ? `not before ${moment(at)}` : moment(at)}
        </span>
      </div>
      {note.reason && <p className="text-sm break-words text-ink-2">{note.reason}</p>}
      {note.attempts.length > 0 && (
        <details className="group mt-0.5">
          <summary className="inline-flex cursor-pointer list-none items-center gap-1 rounded text-xs text-ink-3 hover:text-ink [&::-webkit-details-marker]:hidden">
            <ChevronDown aria-hidden className="size-3 transition-transform group-open:rotate-180" />
            {tries(note.attempts.length)}
          </summary>
          <ol className="mt-1 flex flex-col gap-0.5 border-l-2 border-line pl-3 text-xs text-ink-2">
            {note.attempts.map((attempt) => (
              <li key={attempt.at}>
                {moment(attempt.at)}: {attempt.outcome}, took {say("s", attempt.seconds)}
                {attempt.reason && <span className="block break-words text-ink-3">{attempt.reason}</span>}
              </li>
            ))}
          </ol>
        </details>
      )}
    </li>
  );
}
