"use client";

import type { AlertDetail } from "@/lib/api";
import { classes } from "@/lib/classes";
import { machineTime, moment } from "@/lib/units";
import { Panel } from "@/ui/panel";
import { storyOf, type Tone } from "./story";

const DOTS: Record<Tone, string> = {
  bad: "bg-down",
  told: "bg-accent",
  person: "bg-new",
  good: "bg-up",
  plain: "bg-ink-3",
};

/** Everything that happened, oldest first. */
export function Timeline({ detail }: { detail: AlertDetail }) {
  return (
    <Panel>
      <h2 className="border-b border-line px-4 py-3 text-base font-semibold tracking-tight">Timeline</h2>
      <ol aria-label="Timeline" className="px-4 py-3" data-testid="timeline">
        {storyOf(detail).map((line, index, all) => (
          <li key={line.key} className="relative flex gap-3 pb-3 last:pb-0">
            {index < all.length - 1 && (
              <span
                aria-hidden
                className="absolute top-3 bottom-[-0.4rem] left-[4.5px] w-px bg-line-strong"
              />
            )}
            <span
              aria-hidden
              className={classes("relative mt-[5px] size-2.5 shrink-0 rounded-full", DOTS[line.tone])}
            />
            <div className="min-w-0 flex-1 sm:flex sm:gap-4">
              <div className="min-w-0 flex-1">
                <p className="text-sm font-medium wrap-anywhere">{line.what}</p>
                {line.text && (
                  <p className="text-sm break-words whitespace-pre-line text-ink-2">{line.text}</p>
                )}
              </div>
              <time className="text-xs whitespace-nowrap text-ink-3" dateTime={machineTime(line.at)}>
                {moment(line.at)}
              </time>
            </div>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
