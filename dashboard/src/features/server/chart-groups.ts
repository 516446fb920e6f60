/** Which charts of a server are shown, by monitor. Pure. */
import type { Catalogue, ChartFacts, MonitorFacts } from "@/lib/api";
import type { Known } from "@/lib/data";

export type Group = {
  monitor: MonitorFacts;
  charts: ChartFacts[];
  /** Charts of what this server never sent (no swap, no pressure files): named instead of drawn empty. */
  absent: ChartFacts[];
  /** Names of the monitors of this type, where there are several. */
  instances: string[];
  /** Whether the monitor runs no more and only its old figures are left. */
  gone: boolean;
};

/** The name of the group of what no monitor of today declares. */
export const GONE = "gone";

export function groupsOf(catalogue: Catalogue, known: Known | undefined): Group[] {
  const groups = catalogue.monitors
    .filter((monitor) => monitor.charts.length > 0)
    .map((monitor) => {
      const sent = (chart: ChartFacts) =>
        known === undefined || known.size === 0 || chart.metrics.some((metric) => known.has(metric));
      const names = new Set(monitor.metrics.flatMap((metric) => [...(known?.get(metric.name) ?? [])]));
      return {
        monitor,
        charts: monitor.charts.filter(sent),
        absent: monitor.charts.filter((chart) => !sent(chart)),
        instances:
          names.size > 1 ? [...names].sort((a, b) => a.localeCompare(b, "en", { numeric: true })) : [],
        gone: false,
      };
    });
  const left = leftOver(catalogue, known);
  return left ? [...groups, left] : groups;
}

/** What was measured once and is declared no more: a monitor was removed, its figures are still there. */
function leftOver(catalogue: Catalogue, known: Known | undefined): Group | null {
  const declared = new Set(catalogue.monitors.flatMap(({ metrics }) => metrics.map(({ name }) => name)));
  // The agent's figures about itself are declared by no monitor.
  const names = [...(known?.keys() ?? [])]
    .filter((name) => !declared.has(name) && !name.startsWith("twinwatch."))
    .sort();
  if (names.length === 0) return null;
  return {
    monitor: {
      name: GONE,
      title: "No longer watched",
      interval_seconds: 0,
      metrics: names.map((name) => ({ name, unit: "", help: "", good: "none" as const })),
      charts: [],
      headlines: [],
      rules: [],
    },
    charts: names.map((name) => ({
      title: name,
      metrics: [name],
      by: [],
      style: "line" as const,
      mirror: [],
      top: null,
    })),
    absent: [],
    instances: [],
    gone: true,
  };
}

/** The groups with those charts only that bear every word, in title, metric or help. */
export function withWords(groups: readonly Group[], words: string): Group[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return [...groups];
  return groups
    .map((group) => {
      const helps = new Map(group.monitor.metrics.map(({ name, help }) => [name, help]));
      const charts = group.charts.filter((chart) => {
        const said = [
          group.monitor.title,
          chart.title,
          ...chart.metrics,
          ...chart.metrics.map((name) => helps.get(name) ?? ""),
        ]
          .join(" ")
          .toLowerCase();
        return wanted.every((word) => said.includes(word));
      });
      return { ...group, charts, absent: [] };
    })
    .filter((group) => group.charts.length > 0);
}
