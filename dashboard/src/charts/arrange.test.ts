import { describe, expect, test } from "vitest";
import type { Line, Value } from "@/lib/series";
import { arrange, ceilingOf, columns, extent, type Facts, stretches } from "./arrange";

const line = (id: number, labels: Record<string, string>, values: Value[] = [1]): Line => ({
  id,
  metric: "m",
  labels,
  values,
});
const facts = (more: Partial<Facts>): Facts => ({
  metrics: ["m"],
  by: [],
  style: "line",
  mirror: [],
  ...more,
});

describe("arrange", () => {
  test("a stack stands on what is used and ends with what is free", () => {
    const lines = ["free", "cached", "used", "buffers"].map((state, id) => line(id, { state }));
    const drawn = arrange(lines, facts({ by: ["state"], style: "stack" }));
    expect(drawn.map(({ name }) => name)).toEqual(["used", "buffers", "cached", "free"]);
    expect(drawn.at(-1)?.colour).toBe("rest");
  });

  test("lines are ordered as people count", () => {
    const lines = ["10", "9", "1"].map((core, id) => line(id, { core }));
    expect(arrange(lines, facts({ by: ["core"] })).map(({ name }) => name)).toEqual(["#1", "#9", "#10"]);
  });

  test("both directions of one thing share its colour when there are several things", () => {
    const lines = ["eth0", "wg0"].flatMap((name, index) =>
      ["receive", "transmit"].map((direction, side) => line(index * 2 + side, { name, direction })),
    );
    const drawn = arrange(lines, facts({ by: ["name", "direction"], mirror: ["transmit"] }));
    const colourOf = (name: string) => drawn.find((each) => each.name === name)?.colour;
    expect(colourOf("eth0 · receive")).toBe(colourOf("eth0 · transmit"));
    expect(colourOf("eth0 · receive")).not.toBe(colourOf("wg0 · receive"));
    expect(drawn.filter(({ below }) => below).map(({ name }) => name)).toEqual([
      "eth0 · transmit",
      "wg0 · transmit",
    ]);
  });

  test("a single thing has a colour for each direction", () => {
    const lines = ["receive", "transmit"].map((direction, id) => line(id, { name: "eth0", direction }));
    const drawn = arrange(lines, facts({ by: ["name", "direction"], mirror: ["transmit"] }));
    expect(drawn.map(({ colour }) => colour)).toEqual([0, 1]);
  });
});

describe("columns", () => {
  const drawn = arrange(
    [line(1, { state: "used" }, [1, 2, null]), line(2, { state: "free" }, [3, 4, 5])],
    facts({ by: ["state"], style: "stack" }),
  );
  test("a stack adds up; a gap stays a gap", () => {
    expect(columns(drawn, new Set(), true)).toEqual([
      [1, 2, null],
      [4, 6, 5],
    ]);
  });
  test("what is hidden carries nothing", () => {
    expect(columns(drawn, new Set([1]), true)).toEqual([
      [null, null, null],
      [3, 4, 5],
    ]);
  });
  test("a stack does not fall where one of its lines was measured at another time", () => {
    const apart = arrange(
      [
        line(1, { state: "used" }, [1, undefined, 2]),
        line(2, { state: "cached" }, [3, null, 3]),
        line(3, { state: "free" }, [5, 6, 7]),
      ],
      facts({ by: ["state"], style: "stack" }),
    );
    expect(columns(apart, new Set(), true)).toEqual([
      [1, 1, 2],
      [4, null, 5],
      [9, 7, 12],
    ]);
  });
  test("mirrored lines go below the axis", () => {
    const values = [1, undefined, 0, null];
    const mirrored = arrange([line(1, { d: "out" }, values)], facts({ by: ["d"], mirror: ["out"] }));
    expect(columns(mirrored, new Set(), false)).toEqual([[-1, undefined, 0, null]]);
  });
});

test("a line is drawn in one go from pause to pause", () => {
  expect(stretches([null, 1, undefined, 2, null, undefined, 3, undefined, null])).toEqual([[1, 3], [6]]);
});

test("only what is in the window counts for the axis", () => {
  expect(extent([0, 10, 20], [[100, 2, -3]], 5, 25)).toEqual([-3, 2]);
});

test("an axis with a top ends at it, or at a step well below", () => {
  expect(ceilingOf(0.7, 1)).toBe(1);
  expect(ceilingOf(0.3, 1)).toBe(0.5);
  expect(ceilingOf(0.02, 1)).toBe(0.05);
  expect(ceilingOf(1.4, 1)).toBeGreaterThan(1.4);
  expect(ceilingOf(0, null)).toBe(1);
});
