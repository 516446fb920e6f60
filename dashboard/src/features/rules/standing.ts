/** How the rules that come along stand, under what an organization has saved. Pure. */
import type { DefaultRule, Rule, StoredRule } from "@/lib/api";

export type DefaultRow = {
  given: DefaultRule;
  /** What the organization has saved under its name for all servers. */
  saved: StoredRule | null;
};

export type Group = { monitor: string; rows: DefaultRow[] };

/** By the monitor that brings them; the hub's own first. */
export function groupsOf(defaults: readonly DefaultRule[], stored: readonly StoredRule[]): Group[] {
  const saved = new Map(
    stored.filter(({ scope }) => scope === "organization").map((each) => [each.rule.name, each]),
  );
  const groups = new Map<string, DefaultRow[]>();
  for (const given of defaults) {
    const rows = groups.get(given.monitor) ?? [];
    groups.set(given.monitor, rows);
    rows.push({ given, saved: saved.get(given.rule.name) ?? null });
  }
  return [...groups]
    .map(([monitor, rows]) => ({ monitor, rows }))
    .sort((a, b) => a.monitor.localeCompare(b.monitor, "en"));
}

/** Whether what is saved does no more than switch the default off. */
export function isSwitchOff({ given, saved }: DefaultRow): boolean {
  return saved !== null && !saved.rule.enabled && sameBut(given.rule, saved.rule);
}

function sameBut(one: Rule, other: Rule): boolean {
  const plain = (rule: Rule) =>
    JSON.stringify(
      Object.entries({ ...rule, enabled: true })
        .filter(([, value]) => value !== null && value !== undefined)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  return plain(one) === plain(other);
}

/** What was saved, less the mere switches of defaults: they stand beside those. */
export function ownRules(stored: readonly StoredRule[], groups: readonly Group[]): StoredRule[] {
  const switches = new Set(
    groups.flatMap(({ rows }) => rows.filter(isSwitchOff).map(({ saved }) => saved?.id)),
  );
  return stored
    .filter(({ id }) => !switches.has(id))
    .sort((a, b) => a.rule.name.localeCompare(b.rule.name, "en"));
}
