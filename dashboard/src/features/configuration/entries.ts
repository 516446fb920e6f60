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
  const used = new Set<MonitorStanding>();
  const saved = configuration.monitors.map((entry, index): Row => {
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
      problems: problemsOf(configuration, index),
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

/** Where a problem lies, as the agent writes it: `hub: monitors[2].endpoints[0].url: expected …`. */
export type Spot = { index: number /** Dotted, within the entry. */; place: string; message: string };

export function spotOf(problem: string): Spot | null {
  const found = /^hub: monitors\[(\d+)\]((?:\.[^\s:[\].]+|\[\d+\])*): (.+)$/s.exec(problem);
  if (!found) return null;
  const spelled = (found[2] ?? "").replace(/^\./, "");
  const last = spelled.split(".").at(-1) ?? "";
  // The message may begin with the key again, for a log in which the place is long.
  const said = found[3] ?? "";
  const message = last !== "" && said.startsWith(`${last}: `) ? said.slice(last.length + 2) : said;
  return { index: Number(found[1]), place: spelled.replaceAll(/\[(\d+)\]/g, ".$1"), message };
}

/** A problem as it reads beside its entry, which need not be named again. */
export function besideEntry(problem: string): string {
  const spot = spotOf(problem);
  if (spot === null) return problem;
  return spot.place ? `${spot.place.replaceAll(/\.(\d+)/g, "[$1]")}: ${spot.message}` : spot.message;
}

/** What is said of the entry at this place of the list; only while the agent speaks of this very version. */
function problemsOf(configuration: Configuration, index: number): string[] {
  if (!isCurrent(configuration)) return [];
  return (configuration.standing?.problems ?? []).filter((problem) => spotOf(problem)?.index === index);
}

/** Whether the agent's words are about the newest version: places in an older one would mislead. */
function isCurrent({ standing, version }: Configuration): boolean {
  return standing !== null && (standing.refused || standing.version) === version;
}

/** Problems that belong to no monitor saved here. */
export function otherProblems(configuration: Configuration): string[] {
  const problems = configuration.standing?.problems ?? [];
  if (!isCurrent(configuration)) return problems.filter((problem) => spotOf(problem) === null);
  return problems.filter((problem) => {
    const spot = spotOf(problem);
    return spot === null || spot.index >= configuration.monitors.length;
  });
}

const GENERAL = new Set(["name", "interval", "timeout", "type", "enabled"]);

/** What the agent says of single fields of an entry, by the place of the field in its form. */
export function faultsOf(problems: readonly string[]): Map<string, string> {
  const faults = new Map<string, string>();
  for (const problem of problems) {
    const spot = spotOf(problem);
    if (spot === null || spot.place === "") continue;
    faults.set(GENERAL.has(spot.place) ? spot.place : `options.${spot.place}`, spot.message);
  }
  return faults;
}

/** The hub keeps a secret only for what it was entered for: which one it asks for again, by the place of its field. */
export function askedAgain(refusal: string): Map<string, string> {
  const found = /^monitor .+, option (\S+): no secret is kept here/.exec(refusal);
  if (!found?.[1]) return new Map();
  const place = found[1].replaceAll(/\[(\d+)\]/g, ".$1");
  return new Map([[`options.${place}`, "Enter it again: it was kept for what stood here before"]]);
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
