"use client";

import { CircleCheck, CircleDashed, CircleX, LoaderCircle } from "lucide-react";
import type { Configuration, Server } from "@/lib/api";
import { classes } from "@/lib/classes";
import { useNow } from "@/lib/clock";
import { type Force, forceOf } from "@/lib/standing";
import { ago, count } from "@/lib/units";

const LOOKS: Record<Force, { icon: typeof CircleCheck; text: string; spin?: boolean }> = {
  none: { icon: CircleDashed, text: "text-ink-3" },
  awaited: { icon: LoaderCircle, text: "text-accent-ink", spin: true },
  refused: { icon: CircleX, text: "text-down" },
  "in force": { icon: CircleCheck, text: "text-up" },
};

/** From "saved" to "in force": how far the newest version has come. */
export function ForceLine({ configuration, server }: { configuration: Configuration; server: Server }) {
  const now = useNow(1000);
  const force = forceOf(configuration);
  const { icon: Icon, text, spin } = LOOKS[force];
  const { version, updated_at, updated_by } = configuration;
  return (
    <p
      role="status"
      data-testid="force"
      data-force={force}
      className="flex flex-wrap items-center gap-x-2 gap-y-0.5 text-sm"
    >
      <Icon
        aria-hidden
        strokeWidth={2.25}
        className={classes("size-4 shrink-0", text, spin && server.state === "up" && "animate-spin")}
      />
      <strong className={classes("font-medium", text)}>{wordsFor(force, version)}</strong>
      <span className="text-ink-2">{hintFor(force, configuration, server)}</span>
      {updated_at !== null && (
        <span className="text-ink-3">
          Saved {ago(updated_at, now)}
          {updated_by && ` by ${updated_by}`}.
        </span>
      )}
    </p>
  );
}

function wordsFor(force: Force, version: number): string {
  if (force === "none") return "Nothing was set here yet";
  if (force === "awaited") return `Version ${count(version)} waits for the agent`;
  if (force === "refused") return `The agent could not take version ${count(version)}`;
  return `Version ${count(version)} is in force`;
}

function hintFor(force: Force, configuration: Configuration, server: Server): string {
  if (force === "none") return "The agent runs what its file says, or its defaults.";
  if (force === "refused") {
    const kept = configuration.standing?.version ?? 0;
    return kept > 0 ? `It goes on with version ${count(kept)}.` : "It goes on without it.";
  }
  if (force === "in force") return "";
  if (server.state === "new") return "It takes it when it starts.";
  if (server.state !== "up") return "It takes it when it is back.";
  return server.control ? "It is told at once." : "It is told with its next heartbeat.";
}
