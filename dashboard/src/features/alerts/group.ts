/** How open alerts are shown: by severity, and what a server that is down explains, beneath it. Pure. */

import { gravestFirst } from "@/lib/alerts";
import type { Alert, Severity } from "@/lib/api";

export type Group = {
  alert: Alert;
  /** Other alerts of the same server while it is down. */
  beneath: Alert[];
};

export type Part = { severity: Severity; groups: Group[] };

const ORDER: readonly Severity[] = ["down", "critical", "warning"];

/** Down, critical, warning; only those that have any. Every alert appears once. */
export function partsOf(alerts: readonly Alert[]): Part[] {
  const sorted = [...alerts].sort(gravestFirst);
  const heads = new Map<string, Alert>();
  for (const alert of sorted)
    if (alert.severity === "down" && alert.server_id !== null && !heads.has(alert.server_id))
      heads.set(alert.server_id, alert);
  const beneath = new Map<string, Alert[]>();
  const groups: Group[] = [];
  for (const alert of sorted) {
    const head = alert.server_id === null ? undefined : heads.get(alert.server_id);
    if (head === undefined || head.id === alert.id) groups.push({ alert, beneath: [] });
    else beneath.set(head.id, [...(beneath.get(head.id) ?? []), alert]);
  }
  return ORDER.map((severity) => ({
    severity,
    groups: groups
      .filter(({ alert }) => alert.severity === severity)
      .map(({ alert }) => ({ alert, beneath: beneath.get(alert.id) ?? [] })),
  })).filter((part) => part.groups.length > 0);
}

/** How many alerts a part has, those beneath others included. */
export function sizeOf(part: Part): number {
  return part.groups.reduce((sum, { beneath }) => sum + 1 + beneath.length, 0);
}
