"use client";

import {
  CircleCheck,
  CircleDashed,
  CircleX,
  Ellipsis,
  LoaderCircle,
  PencilLine,
  Power,
  Trash2,
  TriangleAlert,
} from "lucide-react";
import { useState } from "react";
import { classes } from "@/lib/classes";
import { duration } from "@/lib/units";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Menu, MenuItem, MenuLine } from "@/ui/menu";
import { ORIGINS, OriginTag } from "@/ui/origin";
import { besideEntry, type Row } from "./entries";

type Fare = { word: string; reason: string; icon: typeof CircleCheck; text: string };

/** How a monitor fares, in a word. */
function fareOf(row: Row, awaited: boolean): Fare {
  const off = row.entry?.enabled === false;
  const failing = row.standings.find(({ state }) => state === "failing");
  const absent = row.standings.find(({ state }) => state === "absent");
  if (row.overruled)
    return {
      word: "Overruled",
      reason: "The file on the server has one of this name, and it wins.",
      icon: TriangleAlert,
      text: "text-late",
    };
  if (failing) return { word: "Failing", reason: failing.reason, icon: CircleX, text: "text-down" };
  if (off && row.standings.length === 0) return { word: "Off", reason: "", icon: Power, text: "text-ink-3" };
  if (row.standings.length === 0)
    return awaited
      ? { word: "Waiting", reason: "", icon: LoaderCircle, text: "text-accent-ink" }
      : {
          word: "Not running",
          reason: row.problems.length ? "" : "The agent does not say why.",
          icon: CircleDashed,
          text: "text-late",
        };
  if (absent && row.standings.every(({ state }) => state === "absent"))
    return { word: "Nothing there", reason: absent.reason, icon: CircleDashed, text: "text-ink-3" };
  if (row.standings.some(({ state }) => state === "new"))
    return { word: "Starting", reason: "", icon: LoaderCircle, text: "text-new" };
  return { word: "Works", reason: "", icon: CircleCheck, text: "text-up" };
}

export function EntryList({
  rows,
  awaited,
  mayChange,
  onEdit,
  onSwitch,
  onRemove,
}: {
  rows: readonly Row[];
  /** Whether the agent has not answered yet. */
  awaited: boolean;
  mayChange: boolean;
  onEdit: (row: Row) => void;
  onSwitch: (row: Row) => void;
  onRemove: (row: Row) => Promise<unknown>;
}) {
  return (
    <ul aria-label="Monitors" className="divide-y divide-line">
      {rows.map((row) => (
        <EntryRow
          key={`${row.origin} ${row.name}`}
          row={row}
          fare={fareOf(row, awaited)}
          mayChange={mayChange}
          onEdit={() => onEdit(row)}
          onSwitch={() => onSwitch(row)}
          onRemove={() => onRemove(row)}
        />
      ))}
    </ul>
  );
}

function EntryRow({
  row,
  fare,
  mayChange,
  onEdit,
  onSwitch,
  onRemove,
}: {
  row: Row;
  fare: Fare;
  mayChange: boolean;
  onEdit: () => void;
  onSwitch: () => void;
  onRemove: () => Promise<unknown>;
}) {
  const [asking, setAsking] = useState(false);
  const { entry, name, origin } = row;
  const interval = row.standings[0]?.interval_seconds ?? 0;
  return (
    <li
      data-testid="entry"
      data-entry={name}
      data-origin={origin}
      data-fare={fare.word}
      className="grid grid-cols-[minmax(0,1fr)_auto] items-start gap-x-3 gap-y-1 px-4 py-3 sm:grid-cols-[8.5rem_minmax(0,1fr)_auto]"
    >
      <span
        className={classes(
          "flex items-center gap-1.5 text-sm font-medium max-sm:col-span-full sm:pt-0.5",
          fare.text,
        )}
      >
        <fare.icon aria-hidden className="size-4 shrink-0" strokeWidth={2.25} />
        {fare.word}
      </span>
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
          <span className="font-medium break-all">{name}</span>
          {row.title !== name && <span className="text-sm text-ink-3">{row.title}</span>}
          <OriginTag origin={origin} />
          {(entry?.interval || interval > 0) && (
            <span className="text-xs text-ink-3">
              every {interval > 0 ? duration(interval) : entry?.interval}
            </span>
          )}
        </p>
        {fare.reason && <p className="text-sm text-pretty break-words text-ink-2">{fare.reason}</p>}
        {row.problems.map((problem) => (
          <p
            key={problem}
            data-testid="entry-problem"
            className="mt-1 flex items-start gap-1.5 text-sm break-words text-ink"
          >
            <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-late" />
            <span className="min-w-0">{besideEntry(problem)}</span>
          </p>
        ))}
        {entry === null && <p className="text-xs text-ink-3">{ORIGINS[origin].meaning}.</p>}
      </div>
      {entry !== null && mayChange && (
        <div className="flex items-center gap-1.5">
          <Button onClick={onEdit} aria-label={`Change ${name}`}>
            <PencilLine aria-hidden />
            <span className="max-sm:hidden">Change</span>
          </Button>
          <Menu
            label={`Actions for ${name}`}
            trigger={
              <Button kind="quiet" size="icon" aria-label={`More for ${name}`}>
                <Ellipsis aria-hidden />
              </Button>
            }
          >
            <MenuItem onSelect={onSwitch}>
              <Power aria-hidden /> {entry.enabled === false ? "Switch on" : "Switch off"}
            </MenuItem>
            <MenuLine />
            <MenuItem danger onSelect={() => setAsking(true)}>
              <Trash2 aria-hidden /> Remove
            </MenuItem>
          </Menu>
          <Confirm
            open={asking}
            onClose={() => setAsking(false)}
            title={`Remove ${name}?`}
            description="The agent stops watching it. What was measured stays for as long as figures are kept."
            action="Remove the monitor"
            run={onRemove}
          />
        </div>
      )}
    </li>
  );
}
