/**
 * Columns of samples as charts draw them: one ascending column of times (ms UTC), one column of values per line,
 * null where there is no sample. A gap in the times is a gap in the picture.
 */
import type { Labels, SeriesId } from "./api";

/** The label that tells several monitors of one type apart. */
export const INSTANCE = "twinwatch.monitor.name";

export type Line = { id: SeriesId; metric: string; labels: Labels; values: (number | null)[] };
export type Frame = {
  times: number[];
  lines: Line[] /** Width of a coarsened point; null: as sampled. */;
  stepMs: number | null;
};
/** What one `samples` event of the live stream carries. */
export type Columns = { times: number[]; series: Line[] };

export const EMPTY: Frame = { times: [], lines: [], stepMs: null };

export function frameOf(range: { times: number[]; series: Line[]; step_seconds: number | null }): Frame {
  return {
    times: range.times,
    lines: range.series,
    stepMs: range.step_seconds === null ? null : range.step_seconds * 1000,
  };
}

/**
 * The frame with what the live stream brought after it. Older samples are ignored (a reload brings those). In a coarsened
 * frame the new ones become points of the same width, each the mean of its span.
 */
export function extend(frame: Frame, brought: readonly Columns[], metrics: ReadonlySet<string>): Frame {
  const last = frame.times.at(-1) ?? Number.NEGATIVE_INFINITY;
  const step = frame.stepMs;
  const known = new Map(frame.lines.map((line) => [line.id, line]));
  const sums = new Map<number, Map<SeriesId, { sum: number; count: number }>>();
  for (const columns of brought) {
    for (const line of columns.series) {
      if (!metrics.has(line.metric)) continue;
      line.values.forEach((value, row) => {
        const time = columns.times[row];
        if (value === null || time === undefined) return;
        const point = step === null ? time : Math.floor(time / step) * step;
        if (point <= last) return;
        if (!known.has(line.id)) known.set(line.id, { ...line, values: [] });
        const at = sums.get(point) ?? new Map<SeriesId, { sum: number; count: number }>();
        sums.set(point, at);
        const before = at.get(line.id);
        // As sampled, the same instant twice is the same sample.
        if (before && step === null) return;
        at.set(line.id, { sum: (before?.sum ?? 0) + value, count: (before?.count ?? 0) + 1 });
      });
    }
  }
  if (sums.size === 0) return frame;
  const added = [...sums.keys()].sort((a, b) => a - b);
  const length = frame.times.length;
  return {
    stepMs: step,
    times: [...frame.times, ...added],
    lines: [...known.values()].map((line) => ({
      ...line,
      values: [
        ...line.values,
        ...Array<null>(Math.max(0, length - line.values.length)).fill(null),
        ...added.map((time) => {
          const mean = sums.get(time)?.get(line.id);
          return mean ? mean.sum / mean.count : null;
        }),
      ],
    })),
  };
}

/** A row of nulls wherever more than two and a half intervals passed without a sample, so that no line bridges it. */
export function withGaps(frame: Frame, intervalMs: number): Frame {
  const interval = Math.max(intervalMs, frame.stepMs ?? 0);
  const gaps = new Set<number>();
  for (let row = 1; row < frame.times.length; row += 1)
    if ((frame.times[row] as number) - (frame.times[row - 1] as number) > 2.5 * interval) gaps.add(row);
  if (gaps.size === 0) return frame;
  const spread = <T>(column: readonly T[], gap: (row: number) => T) =>
    column.flatMap((value, row) => (gaps.has(row) ? [gap(row), value] : [value]));
  return {
    stepMs: frame.stepMs,
    times: spread(frame.times, (row) => (frame.times[row - 1] as number) + interval),
    lines: frame.lines.map((line) => ({ ...line, values: spread<number | null>(line.values, () => null) })),
  };
}

/** Without what lies before an instant; one earlier row stays, so that lines enter from the edge. */
export function since(frame: Frame, from: number): Frame {
  let first = frame.times.findIndex((time) => time >= from);
  if (first === -1) first = frame.times.length;
  first = Math.max(0, first - 1);
  if (first === 0) return frame;
  return {
    stepMs: frame.stepMs,
    times: frame.times.slice(first),
    lines: frame.lines.map((line) => ({ ...line, values: line.values.slice(first) })),
  };
}

/** The lines of one of several monitors of a type, and those that are of none of them in particular. */
export function only(frame: Frame, instance: string): Frame {
  const lines = frame.lines.filter(({ labels }) => (labels[INSTANCE] ?? instance) === instance);
  return { ...frame, lines };
}

/** How many monitors of one type the lines come from. */
export function instancesOf(frame: Frame): number {
  return new Set(frame.lines.map((line) => line.labels[INSTANCE])).size;
}

/** The line of these labels; without one, the highest of all lines at each time, as a headline shows it. */
export function headlineColumn(frame: Frame, labels: Labels): (number | null)[] {
  const keys = Object.keys(labels);
  const own = keys.length
    ? frame.lines.find((line) => keys.every((key) => line.labels[key] === labels[key]))
    : undefined;
  if (own) return own.values;
  if (frame.lines.length === 1) return frame.lines[0]?.values ?? [];
  return frame.times.map((_, row) => {
    let highest: number | null = null;
    for (const line of frame.lines) {
      const value = line.values[row] ?? null;
      if (value !== null && (highest === null || value > highest)) highest = value;
    }
    return highest;
  });
}

/** The newest value of a column; null where it holds none. */
export function lastOf(values: readonly (number | null)[]): number | null {
  for (let row = values.length - 1; row >= 0; row -= 1) {
    const value = values[row];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** What tells the lines of a chart apart, in words: the labels asked for, else those that differ, else the metric. */
export function lineNames(
  lines: readonly Line[],
  by: readonly string[],
  metrics: readonly string[],
): string[] {
  const several = metrics.length > 1;
  const tails = commonTails(metrics);
  // Where only one of several monitors of a type has lines, its name tells nothing.
  const instances = new Set(lines.map((line) => line.labels[INSTANCE]));
  const useful = by.length > 1 && instances.size === 1 ? by.filter((key) => key !== INSTANCE) : by;
  const names = lines.map((line) => {
    const keys = useful.length ? useful : several ? [] : Object.keys(line.labels).sort();
    const said = keys.map((key) => line.labels[key]).filter((value): value is string => Boolean(value));
    const metric = tails.get(line.metric) ?? line.metric;
    if (said.length === 0) return metric;
    if (said.length === 1 && !several && /^\d+$/.test(said[0] ?? "")) return `#${said[0]}`;
    return several ? `${said.join(" · ")} ${metric}` : said.join(" · ");
  });
  return apart(names, lines);
}

/** Lines of one name get the labels besides in which they differ: a chart need not foresee every label. */
function apart(names: readonly string[], lines: readonly Line[]): string[] {
  const twins = new Map<string, number[]>();
  names.forEach((name, index) => {
    twins.set(name, [...(twins.get(name) ?? []), index]);
  });
  return names.map((name, index) => {
    const alike = twins.get(name) ?? [];
    if (alike.length < 2) return name;
    const labels = lines[index]?.labels ?? {};
    const differing = Object.keys(labels)
      .filter((key) => alike.some((other) => lines[other]?.labels[key] !== labels[key]))
      .sort((a, b) => Number(b === INSTANCE) - Number(a === INSTANCE) || (a < b ? -1 : 1));
    return [...differing.map((key) => labels[key]), name].join(" · ");
  });
}

/** Metric names without the part that all of them share: `1m`, `5m` of `system.cpu.load_average.…`. */
function commonTails(metrics: readonly string[]): Map<string, string> {
  const parts = metrics.map((metric) => metric.split("."));
  let shared = 0;
  if (metrics.length > 1)
    while (parts.every((each) => each.length > shared + 1 && each[shared] === parts[0]?.[shared]))
      shared += 1;
  else shared = (parts[0]?.length ?? 1) - 1;
  return new Map(
    metrics.map((metric, index) => [
      metric,
      (parts[index] ?? []).slice(shared).join(".").replaceAll("_", " "),
    ]),
  );
}
