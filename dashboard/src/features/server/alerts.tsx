"use client";

import Link from "next/link";
import { useOpenOf } from "@/lib/alerts";
import type { Server } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { counted } from "@/lib/units";
import { historyPath } from "@/lib/url";
import { AlertLine } from "@/ui/alert-line";
import { Panel } from "@/ui/panel";

/** So many are shown before all are asked for. */
const FIRST = 5;

/** What is wrong with this server now; nothing while there is no open alert. */
export function ServerAlerts({ server }: { server: Server }) {
  const open = useOpenOf(server.id);
  const now = useNow(1000);
  if (open.length === 0) return null;
  return (
    <Panel className="overflow-hidden">
      <div className="flex items-center justify-between gap-3 border-b border-line px-4 py-2.5">
        <h2 className="text-base font-semibold tracking-tight">{counted(open.length, "open alert")}</h2>
        <Link
          href={historyPath({ server: server.id, state: open.length > FIRST ? "open" : "all" })}
          className="text-sm font-medium text-accent-ink underline-offset-4 hover:underline"
        >
          {open.length > FIRST ? "Show all" : "History"}
        </Link>
      </div>
      <ul className="divide-y divide-line" aria-label="Open alerts" data-testid="server-open-alerts">
        {open.slice(0, FIRST).map((alert) => (
          <AlertLine key={alert.id} alert={alert} now={now} within />
        ))}
      </ul>
    </Panel>
  );
}
