/** From lines as they were sampled to lines as they are drawn: order, name, colour, side, and height in a stack. Pure. */
import type { SeriesId } from "@/lib/api";
import { type Frame, type Line, lineNames, type Value, valueAt } from "@/lib/series";

export type Facts = {
  metrics: readonly string[];
  by: readonly string[];
  style: "line" | "area" | "stack";
  mirror: readonly string[];
};

export type Drawn = {
  line: Line;
  name: string;
  /** Index into the palette; `rest` for what is left over in a stack (`free`, `idle`). */
  colour: number | "rest";
  /** Drawn below the axis. */
  below: boolean;
};

/** States of a whole, in the order that reads best from the ground up (the values are OpenTelemetry's). */
const GROUND_UP = [
  ["used", "user"],
  ["reserved", "system"],
  ["nice"],
  ["interrupt"],
  ["iowait"],
  ["steal"],
  ["buffers"],
  ["cached"],
];
const REST = new Set(["free", "idle"]);

function height(line: Line): number {
  const values = Object.values(line.labels);
  if (values.some((value) => REST.has(value))) return 1000;
  const place = GROUND_UP.findIndex((step) => values.some((value) => step.includes(value)));
  return place === -1 ? GROUND_UP.length : place;
}

export function arrange(lines: readonly Line[], facts: Facts): Drawn[] {
  const names = lineNames(lines, facts.by, facts.metrics);
  const isBelow = (line: Line) => Object.values(line.labels).some((value) => facts.mirror.includes(value));
  const order = (line: Line) => facts.metrics.indexOf(line.metric);
  const drawn = lines.map((line, index) => ({
    line,
    name: names[index] ?? line.metric,
    below: isBelow(line),
  }));
  drawn.sort(
    (a, b) =>
      (facts.style === "stack" ? height(a.line) - height(b.line) : 0) ||
      order(a.line) - order(b.line) ||
      Number(a.below) - Number(b.below) ||
      a.name.localeCompare(b.name, "en", { numeric: true }),
  );
  // What is above and below the axis of the same thing has the same colour, unless there is only one thing.
  const things = new Map<string, number>();
  const thing = (each: { line: Line; below: boolean }) => {
    if (facts.mirror.length === 0) return String(each.line.id);
    const mirrored = facts.by.filter((key) =>
      lines.some((line) => facts.mirror.includes(line.labels[key] ?? "")),
    );
    return [
      each.line.metric,
      ...facts.by.filter((key) => !mirrored.includes(key)).map((key) => each.line.labels[key] ?? ""),
    ].join("\n");
  };
  for (const each of drawn) {
    const key = thing(each);
    if (!things.has(key)) things.set(key, things.size);
  }
  const alone = facts.mirror.length > 0 && things.size === 1;
  return drawn.map((each) => ({
    ...each,
    colour:
      facts.style === "stack" &&
      REST.has(Object.values(each.line.labels).find((value) => REST.has(value)) ?? "")
        ? "rest"
        : alone
          ? Number(each.below)
          : (things.get(thing(each)) ?? 0),
  }));
}

/** Columns as they are drawn: stacked on one another, or turned below the axis. Hidden ones are null throughout. */
export function columns(drawn: readonly Drawn[], hidden: ReadonlySet<SeriesId>, stacked: boolean): Value[][] {
  const ground: number[] = [];
  return drawn.map(({ line: { id, values }, below }) => {
    if (hidden.has(id)) return values.map(() => null);
    if (!stacked) return below ? values.map((value) => (value ? -value : value)) : values;
    return values.map((_, row) => {
      // What stands on a line must not fall where that line has no sample of its own.
      const value = valueAt(values, row);
      if (value === null) return null;
      const height = (ground[row] ?? 0) + value;
      ground[row] = height;
      return height;
    });
  });
}

/** The rows of each stretch of a line that is drawn in one go: across undefined, up to null. */
export function stretches(values: ArrayLike<Value>): number[][] {
  const found: number[][] = [];
  let open: number[] | null = null;
  for (let row = 0; row < values.length; row += 1) {
    if (values[row] === null) open = null;
    else if (values[row] !== undefined) {
      if (open === null) {
        open = [];
        found.push(open);
      }
      open.push(row);
    }
  }
  return found;
}

/** The lowest and highest of what is drawn within a window. */
export function extent(
  times: readonly number[],
  drawn: readonly (readonly Value[])[],
  since: number,
  to: number,
): [number, number] {
  let lowest = 0;
  let highest = 0;
  for (const column of drawn)
    for (let row = 0; row < column.length; row += 1) {
      const time = times[row] as number;
      if (time < since || time > to) continue;
      const value = column[row];
      if (value === null || value === undefined) continue;
      if (value > highest) highest = value;
      if (value < lowest) lowest = value;
    }
  return [lowest, highest];
}

/** Whether there is nothing to draw at all. */
export function isEmpty(frame: Frame): boolean {
  return frame.lines.every((line) => line.values.every((value) => value === null || value === undefined));
}

/** The upper end of an axis: the top where values come near it, else the step of it that they stay under. */
export function ceilingOf(highest: number, top: number | null): number {
  if (top === null) return highest > 0 ? highest * 1.08 : 1;
  if (highest > top) return highest * 1.05;
  return top * ([0.05, 0.1, 0.25, 0.5].find((part) => highest <= part * top * 0.92) ?? 1);
}
