/** What a rule can be about: metrics and checks as servers declare and report them, and probes. Pure. */
import type { Catalogue, Checks } from "@/lib/api";

export type MetricWord = { name: string; unit: string; help: string; labels: string[] };
export type Vocabulary = { metrics: MetricWord[]; checks: string[]; probes: string[] };

/** What the hub itself measures of probes, which no server need declare. */
const OF_PROBES: readonly MetricWord[] = [
  {
    name: "probe.duration",
    unit: "s",
    help: "How long a try of a probe took",
    labels: [],
  },
  {
    name: "tls.certificate.expires_in",
    unit: "s",
    help: "How long the certificate that a probe or a check has seen is valid yet",
    labels: [],
  },
];

export function vocabularyOf(
  catalogues: readonly Catalogue[],
  reports: readonly Checks[],
  probes: readonly string[],
): Vocabulary {
  const metrics = new Map(OF_PROBES.map((word) => [word.name, word]));
  for (const { monitors } of catalogues)
    for (const monitor of monitors)
      for (const { name, unit, help } of monitor.metrics) {
        const by = (monitor.charts ?? [])
          .filter((chart) => chart.metrics.includes(name))
          .flatMap(({ by }) => by);
        const labels = [...new Set([...(metrics.get(name)?.labels ?? []), ...by])].sort();
        metrics.set(name, { name, unit, help, labels });
      }
  const names = reports.flatMap(({ checks }) => checks.map(({ name }) => name));
  const patterns = names.flatMap((name) => {
    const end = name.indexOf(":");
    return end > 0 ? [`${name.slice(0, end)}:*`] : [];
  });
  return {
    metrics: [...metrics.values()].sort((a, b) => a.name.localeCompare(b.name, "en")),
    probes: [...probes],
    checks: [...new Set([...patterns, ...names])].sort((a, b) => a.localeCompare(b, "en", { numeric: true })),
  };
}

export function unitOf(vocabulary: Vocabulary, metric: string): string | null {
  return vocabulary.metrics.find(({ name }) => name === metric)?.unit ?? null;
}
