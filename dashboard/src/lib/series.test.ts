import { describe, expect, test } from "vitest";
import {
  type Columns,
  extend,
  type Frame,
  frameOf,
  headlineColumn,
  INSTANCE,
  type Line,
  lastOf,
  lineNames,
  nearest,
  only,
  since,
  type Value,
  valueAt,
  withGaps,
} from "./series";

const line = (id: number, values: Value[], metric = "m", labels: Record<string, string> = {}): Line => ({
  id,
  metric,
  labels,
  values,
});
const frame = (times: number[], lines: Line[], stepMs: number | null = null): Frame => ({
  times,
  lines,
  stepMs,
});
const brought = (times: number[], ...series: Line[]): Columns => ({ times, series });
const M = new Set(["m"]);

describe("extend", () => {
  test("new samples follow the old ones", () => {
    const after = extend(frame([0, 15], [line(1, [1, 2])]), [brought([30, 45], line(1, [3, 4]))], M);
    expect(after.times).toEqual([0, 15, 30, 45]);
    expect(after.lines[0]?.values).toEqual([1, 2, 3, 4]);
  });

  test("what is already there changes nothing", () => {
    const before = frame([0, 15], [line(1, [1, 2])]);
    expect(extend(before, [brought([0, 15], line(1, [9, 9]))], M)).toBe(before);
  });

  test("the same event twice is the same as once", () => {
    const event = brought([30], line(1, [3]));
    const after = extend(frame([0], [line(1, [1])]), [event, event], M);
    expect(after.times).toEqual([0, 30]);
    expect(after.lines[0]?.values).toEqual([1, 3]);
  });

  test("events in any order give ascending times", () => {
    const after = extend(
      frame([0], [line(1, [1])]),
      [brought([45], line(1, [4])), brought([30], line(1, [3]))],
      M,
    );
    expect(after.times).toEqual([0, 30, 45]);
    expect(after.lines[0]?.values).toEqual([1, 3, 4]);
  });

  test("a series that was not there before begins where it begins", () => {
    const after = extend(frame([0, 15], [line(1, [1, 2])]), [brought([30], line(1, [3]), line(2, [7]))], M);
    expect(after.lines.map(({ values }) => values)).toEqual([
      [1, 2, 3],
      [null, null, 7],
    ]);
  });

  test("metrics of other charts leave no rows", () => {
    const after = extend(
      frame([0], [line(1, [1])]),
      [brought([15, 30], line(2, [5, 5], "other"), line(1, [null, 3]))],
      M,
    );
    expect(after.times).toEqual([0, 30]);
  });

  test("in a coarsened frame the new ones become means of the same width", () => {
    const before = frame([0, 60_000], [line(1, [1, 2])], 60_000);
    const after = extend(before, [brought([75_000, 120_000, 135_000, 180_000], line(1, [99, 4, 6, 8]))], M);
    expect(after.times).toEqual([0, 60_000, 120_000, 180_000]);
    expect(after.lines[0]?.values).toEqual([1, 2, 5, 8]);
  });

  test("steps of an answer in which nothing was yet do not keep live samples out", () => {
    const answer = frameOf({
      times: [0, 60_000, 120_000],
      series: [line(1, [1, 2, null]) as Line & { values: (number | null)[] }],
      step_seconds: 60,
    });
    const after = extend(answer, [brought([125_000, 150_000, 180_000], line(1, [4, 6, 7]))], M);
    expect(after.times).toEqual([0, 60_000, 120_000, 180_000]);
    expect(after.lines[0]?.values).toEqual([1, 2, 5, 7]);
  });

  test("an empty frame takes all", () => {
    expect(extend(frame([], []), [brought([15], line(1, [1]))], M).times).toEqual([15]);
  });
});

const valuesOf = ({ lines }: Frame) => lines.map(({ values }) => values);
const _ = undefined;

describe("withGaps", () => {
  test("a missed run is a gap, a late one is not", () => {
    const after = withGaps(frame([0, 15, 30, 60, 120], [line(1, [1, 2, 3, 4, 5])]), 15);
    expect(after.times).toEqual([0, 15, 30, 60, 75, 120]);
    expect(valuesOf(after)).toEqual([[1, 2, 3, 4, null, 5]]);
  });

  test("two samples tell nothing of the usual interval", () => {
    expect(valuesOf(withGaps(frame([0, 60], [line(1, [1, 2])]), 15))).toEqual([[1, null, 2]]);
  });

  test("lines measured at different times are each drawn in one go", () => {
    const times = [0, 7, 15, 22, 30, 37];
    const after = withGaps(
      frame(times, [line(1, [1, null, 2, null, 3, null]), line(2, [null, 4, null, 5, null, 6])]),
      15,
    );
    expect(after.times).toEqual(times);
    expect(valuesOf(after)).toEqual([
      [1, _, 2, _, 3, _],
      [_, 4, _, 5, _, 6],
    ]);
  });

  test("each line has the gaps of its own pauses only", () => {
    const times = [0, 7, 15, 22, 37, 52, 67, 75, 82];
    const after = withGaps(
      frame(times, [
        line(1, [1, null, 2, null, null, null, null, 3, null]),
        line(2, [null, 4, null, 5, 6, 7, 8, null, 9]),
      ]),
      15,
    );
    expect(after.times).toEqual(times);
    expect(valuesOf(after)).toEqual([
      [1, _, 2, null, null, null, null, 3, _],
      [_, 4, _, 5, 6, 7, 8, _, 9],
    ]);
  });

  test("an outage of all is a gap in each line", () => {
    const after = withGaps(
      frame(
        [0, 7, 15, 22, 100, 107],
        [line(1, [1, null, 2, null, 3, null]), line(2, [null, 4, null, 5, null, 6])],
      ),
      15,
    );
    expect(after.times).toEqual([0, 7, 15, 22, 37, 100, 107]);
    expect(valuesOf(after)).toEqual([
      [1, _, 2, null, null, 3, _],
      [_, 4, _, 5, null, null, 6],
    ]);
  });

  test("a line goes on where only a more frequent one paused", () => {
    const after = withGaps(
      frame(
        [0, 15, 30, 90, 150, 210],
        [line(1, [1, 2, 3, null, null, null]), line(2, [4, null, 5, 6, 7, 8])],
      ),
      15,
    );
    expect(after.times).toEqual([0, 15, 30, 45, 90, 105, 150, 165, 210]);
    expect(valuesOf(after)).toEqual([
      [1, 2, 3, _, null, null, null, null, null],
      [4, _, 5, _, 6, _, 7, _, 8],
    ]);
  });

  test("a line that begins late or ends early has nothing where it was not", () => {
    const times = [0, 15, 30, 45, 60, 75, 90];
    const after = withGaps(
      frame(times, [
        line(1, [1, 2, null, null, null, null, null]),
        line(2, [null, null, null, null, null, 3, 4]),
      ]),
      15,
    );
    expect(valuesOf(after)).toEqual([
      [1, 2, _, _, null, null, null],
      [null, null, null, _, _, 3, 4],
    ]);
  });

  test("what was measured more seldom than expected is judged by its own interval", () => {
    const after = withGaps(frame([0, 60, 120, 180, 400], [line(1, [1, 2, 3, 4, 5])]), 15);
    expect(valuesOf(after)).toEqual([[1, 2, 3, 4, null, 5]]);
  });

  test("a coarsened frame is judged by its own step", () => {
    const before = frame([0, 60, 120], [line(1, [1, 2, 3])], 60);
    expect(withGaps(before, 15)).toEqual(before);
  });

  test("steps finer than the interval do not tear a line apart", () => {
    const after = withGaps(
      frame([0, 60, 75, 120], [line(1, [1, 2, null, 3]), line(2, [4, 5, 6, 7])], 15),
      60,
    );
    expect(valuesOf(after)).toEqual([
      [1, 2, _, 3],
      [4, 5, 6, 7],
    ]);
  });

  test("a coarse step without a sample is an outage", () => {
    const answer = { times: [0, 180, 360, 540], step_seconds: 0.18 };
    const series = [line(1, [1, 2, null, 3]) as Line & { values: (number | null)[] }];
    expect(valuesOf(withGaps(frameOf({ ...answer, series }), 15))).toEqual([[1, 2, null, 3]]);
  });

  test("times stay ascending", () => {
    const { times } = withGaps(frame([0, 1000, 1001, 5000], [line(1, [1, 1, 1, 1])]), 15);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});

test("of one of several monitors only its own times are left", () => {
  const both = frame(
    [0, 7, 15, 22],
    [
      line(1, [1, null, 2, null], "m", { [INSTANCE]: "shop" }),
      line(2, [null, 3, null, 4], "m", { [INSTANCE]: "blog" }),
    ],
  );
  const blog = only(both, "blog");
  expect(blog.times).toEqual([7, 22]);
  expect(valuesOf(blog)).toEqual([[3, 4]]);
  expect(only(blog, "blog")).toEqual(blog);
});

describe("where a line has no sample of its own", () => {
  test("the nearest one stands for it", () => {
    const values = [1, _, _, 2, _];
    expect(values.map((_value, row) => nearest(values, row))).toEqual([0, 0, 3, 3, 3]);
    expect(valueAt(values, 1)).toBe(1);
  });
  test("but none from beyond a pause", () => {
    const values = [null, _, 1, null, 2, _, null];
    expect(values.map((_value, row) => valueAt(values, row))).toEqual([null, 1, 1, null, 2, 2, null]);
  });
});

test("one row before the edge stays, so that lines enter from it", () => {
  const cut = since(frame([0, 10, 20, 30], [line(1, [1, 2, 3, 4])]), 15);
  expect(cut.times).toEqual([10, 20, 30]);
  expect(cut.lines[0]?.values).toEqual([2, 3, 4]);
});

test("each line enters from the edge, though it was measured before others", () => {
  const apart = frame(
    [0, 7, 15, 22, 30],
    [line(1, [1, _, 2, _, 3]), line(2, [_, 4, _, 5, _]), line(3, [6, null, null, 7, 8])],
  );
  const cut = since(apart, 20);
  expect(cut.times).toEqual([7, 15, 22, 30]);
  expect(valuesOf(cut)).toEqual([
    [_, 2, _, 3],
    [4, _, 5, _],
    [null, null, 7, 8],
  ]);
});

describe("headlineColumn", () => {
  const disks = frame(
    [0, 15],
    [line(1, [0.2, 0.9], "m", { mount: "/" }), line(2, [0.5, null], "m", { mount: "/srv" })],
  );
  test("follows the series that the headline names", () => {
    expect(headlineColumn(disks, { mount: "/srv" })).toEqual([0.5, null]);
  });
  test("is the highest of all when it names none", () => {
    expect(headlineColumn(disks, {})).toEqual([0.5, 0.9]);
  });
  test("the highest does not fall at the times of the lower", () => {
    const apart = frame([0, 7, 15, 22], [line(1, [0.9, _, 0.8, _]), line(2, [_, 0.1, _, 0.2])]);
    expect(headlineColumn(apart, {})).toEqual([0.9, 0.9, 0.8, 0.8]);
  });
});

test("the newest value is the last that is there", () => {
  expect(lastOf([1, 2, null, null])).toBe(2);
  expect(lastOf([null])).toBeNull();
});

describe("lineNames", () => {
  test("labels that the chart asks for name a line", () => {
    const lines = [line(1, [], "m", { device: "sda", direction: "read" })];
    expect(lineNames(lines, ["device", "direction"], ["m"])).toEqual(["sda · read"]);
  });
  test("several metrics are told apart by what they do not share", () => {
    const metrics = ["system.cpu.load_average.1m", "system.cpu.load_average.15m"];
    const lines = metrics.map((metric, id) => line(id, [], metric));
    expect(lineNames(lines, [], metrics)).toEqual(["1m", "15m"]);
  });
  test("several monitors of one type are told apart, one alone is not named", () => {
    const of = (id: number, name: string, state: string) =>
      line(id, [], "m", { "twinwatch.monitor.name": name, state });
    const by = ["twinwatch.monitor.name", "state"];
    expect(lineNames([of(1, "main", "idle"), of(2, "spare", "idle")], by, ["m"])).toEqual([
      "main · idle",
      "spare · idle",
    ]);
    expect(lineNames([of(1, "main", "idle"), of(2, "main", "busy")], by, ["m"])).toEqual(["idle", "busy"]);
    // The chart did not think of it.
    expect(lineNames([of(1, "main", "idle"), of(2, "spare", "idle")], ["state"], ["m"])).toEqual([
      "main · idle",
      "spare · idle",
    ]);
  });
  test("a bare number is marked as one of many", () => {
    expect(
      lineNames([line(1, [], "m", { "cpu.logical_number": "7" })], ["cpu.logical_number"], ["m"]),
    ).toEqual(["#7"]);
  });
  test("without labels the metric's own name does", () => {
    expect(lineNames([line(1, [], "system.cpu.busy")], [], ["system.cpu.busy"])).toEqual(["busy"]);
  });
});
