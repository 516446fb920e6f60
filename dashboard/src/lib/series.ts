/**
 * Columns of samples as charts draw them: one ascending column of times (ms UTC), one column of values per line.
 * Each time is that of a sample of at least one line. Lines that are measured at different times share the column of
 * times, so that a row without a value says little until `withGaps` has told a line's pauses from the times of others.
 */
import type { Labels, SeriesId } from "./api";

/** The label that tells several monitors of one type apart. */
export const INSTANCE = "twinwatch.monitor.name";

/** null: no sample, nor any near. undefined: none at this time, but the line goes on here from one to the next. */
export type Value = number | null | undefined;
export type Line = { id: SeriesId; metric: string; labels: Labels; values: Value[] };
export type Frame = {
  times: number[];
  lines: Line[] /** Width of a coarsened point; null: as sampled. */;
  stepMs: number | null;
};
/** What one `samples` event of the live stream carries. */
export type Columns = { times: number[]; series: Line[] };

export const EMPTY: Frame = { times: [], lines: [], stepMs: null };

export function frameOf(range: { times: number[]; series: Line[]; step_seconds: number | null }): Frame {
  // A coarsened answer has a row for each step up to its end, whether there are samples or not.
  return withoutEmptyRows({
    times: range.times,
    lines: range.series,
    stepMs: range.step_seconds === null ? null : range.step_seconds * 1000,
  });
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
        if (typeof value !== "number" || time === undefined) return;
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

/**
 * The frame with the pauses of each line told from the times of others: null where the line itself had no sample for
 * longer than two and a half of its intervals (as expected or, where that is longer, as usual), undefined elsewhere.
 * A row of its own stands for a time in which nothing at all was measured.
 */
export function withGaps(frame: Frame, intervalMs: number): Frame {
  const step = frame.stepMs ?? 0;
  const reaches = frame.lines.map(({ values }) => {
    const usual = medianStep(rowsOf(values).map((row) => frame.times[row] as number)) ?? 0;
    // Points of neighbouring steps tell nothing of the interval of the samples within.
    return step + 2.5 * Math.max(intervalMs, usual > step ? usual : 0);
  });
  const shortest = Math.min(...reaches);
  const gaps = new Set<number>();
  for (let row = 1; row < frame.times.length; row += 1)
    if ((frame.times[row] as number) - (frame.times[row - 1] as number) > shortest) gaps.add(row);
  const spread = <T>(column: readonly T[], gap: (row: number) => T) =>
    column.flatMap((value, row) => (gaps.has(row) ? [gap(row), value] : [value]));
  const times = spread(frame.times, (row) => (frame.times[row - 1] as number) + Math.max(intervalMs, step));
  return {
    stepMs: frame.stepMs,
    times,
    lines: frame.lines.map((line, index) => {
      const values = spread<Value>(line.values, () => null);
      return { ...line, values: paused(times, values, reaches[index] as number) };
    }),
  };
}

function paused(times: readonly number[], values: readonly Value[], reachMs: number): Value[] {
  const rows = rowsOf(values);
  let passed = 0;
  return times.map((time, row) => {
    if (row === rows[passed]) {
      passed += 1;
      return values[row];
    }
    const before = times[rows[passed - 1] ?? row] ?? time;
    const after = times[rows[passed] ?? row] ?? time;
    return after - before > reachMs ? null : undefined;
  });
}

const isSample = (value: Value) => value !== null && value !== undefined;

/** The rows in which a line has a sample. */
export function rowsOf(values: readonly Value[]): number[] {
  return values.flatMap((value, row) => (isSample(value) ? [row] : []));
}

/** How far apart times usually are: their median step; null where they are too few to tell. */
export function medianStep(times: readonly number[]): number | null {
  const steps = times.slice(1).map((time, row) => time - (times[row] as number));
  steps.sort((a, b) => a - b);
  return steps.length < 2 ? null : (steps[Math.floor((steps.length - 1) / 2)] ?? null);
}

/** The row of the sample that stands for a line at a row: the nearest that no pause parts from it; null: none. */
export function nearest(values: ArrayLike<Value>, row: number): number | null {
  const seek = (step: 1 | -1) => {
    let at = row;
    while (at >= 0 && at < values.length && values[at] === undefined) at += step;
    return isSample(values[at]) ? at : null;
  };
  const before = seek(-1);
  const after = seek(1);
  if (before === null || after === null) return before ?? after;
  return row - before <= after - row ? before : after;
}

/** What a line shows at a row, its nearest sample; null while it paused. */
export function valueAt(values: readonly Value[], row: number): number | null {
  const at = nearest(values, row);
  return at === null ? null : (values[at] ?? null);
}

/** Without what lies before an instant; each line's last sample before it stays, so that lines enter from the edge. */
export function since(frame: Frame, from: number): Frame {
  let edge = frame.times.findIndex((time) => time >= from);
  if (edge === -1) edge = frame.times.length;
  const entries = frame.lines.map(({ values }) => {
    let row = edge - 1;
    while (row > 0 && values[row] === undefined) row -= 1;
    return row;
  });
  const first = Math.max(0, Math.min(edge - 1, ...entries));
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
  return withoutEmptyRows({ ...frame, lines });
}

function withoutEmptyRows(frame: Frame): Frame {
  const full = frame.times.map((_, row) => frame.lines.some(({ values }) => isSample(values[row])));
  if (full.every(Boolean)) return frame;
  const kept = <T>(column: readonly T[]) => column.filter((_, row) => full[row]);
  return {
    ...frame,
    times: kept(frame.times),
    lines: frame.lines.map((line) => ({ ...line, values: kept(line.values) })),
  };
}

/** How many monitors of one type the lines come from. */
export function instancesOf(frame: Frame): number {
  return new Set(frame.lines.map((line) => line.labels[INSTANCE])).size;
}

/** The line of these labels; without one, the highest of all lines at each time, as a headline shows it. */
export function headlineColumn(frame: Frame, labels: Labels): Value[] {
  const keys = Object.keys(labels);
  const own = keys.length
    ? frame.lines.find((line) => keys.every((key) => line.labels[key] === labels[key]))
    : undefined;
  if (own) return own.values;
  if (frame.lines.length === 1) return frame.lines[0]?.values ?? [];
  return frame.times.map((_, row) => {
    let highest: number | null = null;
    for (const line of frame.lines) {
      const value = valueAt(line.values, row);
      if (value !== null && (highest === null || value > highest)) highest = value;
    }
    return highest;
  });
}

/** The newest value of a column; null where it holds none. */
export function lastOf(values: readonly Value[]): number | null {
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
