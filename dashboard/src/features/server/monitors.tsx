"use client";

import { CircleCheck, CircleDashed, CircleX, LoaderCircle } from "lucide-react";
import { useState } from "react";
import type { MonitorStanding } from "@/lib/api";
import { classes } from "@/lib/classes";
import { useNow } from "@/lib/clock";
import { ago, duration, moment } from "@/lib/units";
import { Disclosure } from "@/ui/disclosure";
import { OriginTag } from "@/ui/origin";
import { failingFirst, monitorsInWords } from "./standing";

const LOOKS: Record<MonitorStanding["state"], { word: string; icon: typeof CircleCheck; text: string }> = {
  failing: { word: "Failing", icon: CircleX, text: "text-down" },
  absent: { word: "Nothing there", icon: CircleDashed, text: "text-ink-3" },
  new: { word: "Starting", icon: LoaderCircle, text: "text-new" },
  ok: { word: "Works", icon: CircleCheck, text: "text-up" },
};

/** What watches the server, and how it fares. */
export function MonitorsPanel({ monitors }: { monitors: readonly MonitorStanding[] }) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const now = useNow(1000);
  const ordered = failingFirst(monitors);
  const first = LOOKS[ordered[0]?.state ?? "ok"];
  return (
    <Disclosure
      title="Monitors"
      testId="monitors"
      open={monitors.length > 0 && (chosen ?? monitors.some(({ state }) => state === "failing"))}
      onToggle={setChosen}
      summary={
        <span className="flex items-center gap-1.5">
          {monitors.length > 0 && (
            <first.icon aria-hidden className={classes("size-4 shrink-0", first.text)} strokeWidth={2.25} />
          )}
          {monitorsInWords(monitors)}
        </span>
      }
    >
      <ul aria-label="Monitors" className="divide-y divide-line">
        {ordered.map((monitor) => (
          <MonitorRow key={monitor.name} monitor={monitor} now={now} />
        ))}
      </ul>
    </Disclosure>
  );
}

function MonitorRow({ monitor, now }: { monitor: MonitorStanding; now: number }) {
  const { word, icon: Icon, text } = LOOKS[monitor.state];
  return (
    <li
      data-testid="monitor"
      data-monitor={monitor.name}
      data-state={monitor.state}
      className="grid grid-cols-[8.5rem_minmax(0,1fr)] gap-x-3 gap-y-1 px-4 py-2.5 sm:grid-cols-[8.5rem_minmax(0,1fr)_auto]"
    >
      <span className={classes("flex items-center gap-1.5 self-start text-sm font-medium", text)}>
        <Icon aria-hidden className="size-4 shrink-0" strokeWidth={2.25} />
        {word}
      </span>
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
          <span className="font-medium break-all">{monitor.name}</span>
          {monitor.type !== monitor.name && <span className="text-sm text-ink-3">{monitor.type}</span>}
          <OriginTag origin={monitor.origin} />
        </p>
        {monitor.reason && <p className="text-sm text-pretty break-words text-ink-2">{monitor.reason}</p>}
      </div>
      <span className="text-xs whitespace-nowrap text-ink-3 max-sm:col-start-2 sm:pt-0.5 sm:text-right">
        {monitor.interval_seconds > 0 && <>every {duration(monitor.interval_seconds)}</>}
        {monitor.since > 0 && (
          <span title={`Since ${moment(monitor.since)}`}>
            {" "}
            · {word.toLowerCase()} since {ago(monitor.since, now)}
          </span>
        )}
      </span>
    </li>
  );
}
