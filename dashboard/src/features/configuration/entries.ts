/** What stands in a server's configuration, and how each part of it fares at the agent. Pure. */
import type { Configuration, MonitorEntry, MonitorKind, MonitorStanding } from "@/lib/api";

export type Row = {
  name: string;
  type: string;
  title: string;
  origin: MonitorStanding["origin"];
  /** What was saved here; null for what the agent has from its file or by default. */
  entry: MonitorEntry | null;
  /** How the agent runs it: none while it is off or not taken yet, several where it is divided. */
  standings: MonitorStanding[];
  /** What the agent says is wrong with it. */
  problems: string[];
  /** Whether the file on the server has one of the same name, which wins. */
  overruled: boolean;
};

/** What a monitor is called: its own name, else its type. */
export function nameOf(entry: Pick<MonitorEntry, "name" | "type">): string {
  return entry.name || entry.type;
}

/** `http` runs as `http`, or as parts: `http:shop`, `http/shop`. */
function isPartOf(part: string, name: string): boolean {
  return part === name || (part.startsWith(name) && /^[:/ ]/.test(part.slice(name.length)));
}

/** The monitors of a server: what was saved here first, then what the agent has besides. */
export function rowsOf(configuration: Configuration, standings: readonly MonitorStanding[]): Row[] {
  const titles = new Map(configuration.kinds.map((kind) => [kind.type, kind.title]));
  const problems = configuration.standing?.problems ?? [];
  const used = new Set<MonitorStanding>();
  const saved = configuration.monitors.map((entry): Row => {
    const name = nameOf(entry);
    const own = standings.filter((each) => isPartOf(each.name, name) && each.type === entry.type);
    const overruled = own.some(({ origin }) => origin === "file");
    const taken = own.filter(({ origin }) => origin === "hub");
    for (const each of taken) used.add(each);
    return {
      name,
      type: entry.type,
      title: titles.get(entry.type) ?? entry.type,
      origin: "hub",
      entry,
      standings: taken,
      problems: problems.filter((problem) => isAbout(problem, name)),
      overruled,
    };
  });
  const others = standings
    .filter((each) => !used.has(each))
    .map(
      (each): Row => ({
        name: each.name,
        type: each.type,
        title: titles.get(each.type) ?? each.type,
        origin: each.origin,
        entry: null,
        standings: [each],
        problems: [],
        overruled: false,
      }),
    );
  const byName = (a: Row, b: Row) => a.name.localeCompare(b.name, "en", { numeric: true });
  return [...saved.sort(byName), ...others.sort(byName)];
}

/** Whether a problem that the agent tells is about the monitor of this name. */
export function isAbout(problem: string, name: string): boolean {
  const at = problem.indexOf(name);
  if (at === -1) return false;
  const before = problem.charAt(at - 1);
  const after = problem.charAt(at + name.length);
  return (at === 0 || /[^\w.-]/.test(before)) && (after === "" || /[^\w-]/.test(after));
}

/** Problems that belong to no monitor saved here. */
export function otherProblems(configuration: Configuration): string[] {
  const names = configuration.monitors.map(nameOf);
  return (configuration.standing?.problems ?? []).filter(
    (problem) => !names.some((name) => isAbout(problem, name)),
  );
}

/** The monitors with this one instead of the one called `old`; at the end if that is not there. */
export function withEntry(
  monitors: readonly MonitorEntry[],
  old: string | null,
  entry: MonitorEntry,
): MonitorEntry[] {
  return monitors.some((each) => nameOf(each) === old)
    ? monitors.map((each) => (nameOf(each) === old ? entry : each))
    : [...monitors, entry];
}

export function withoutEntry(monitors: readonly MonitorEntry[], name: string): MonitorEntry[] {
  return monitors.filter((each) => nameOf(each) !== name);
}

/** A name that is still free: the type itself, else with a number. */
export function freeName(type: string, taken: readonly string[]): string {
  if (!taken.includes(type)) return "";
  let number = 2;
  while (taken.includes(`${type}-${number}`)) number += 1;
  return `${type}-${number}`;
}

/** Types to choose from, by title: those that bear every word. */
export function matchingKinds(kinds: readonly MonitorKind[], words: string): MonitorKind[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return kinds
    .filter((kind) => {
      const said = `${kind.type} ${kind.title} ${kind.help}`.toLowerCase();
      return wanted.every((word) => said.includes(word));
    })
    .sort((a, b) => a.title.localeCompare(b.title, "en"));
}
