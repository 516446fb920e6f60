import { expect, test } from "vitest";
import type { Columns } from "./series";
import { follow, isBacklog, tailFrom } from "./tail";

const MINUTE = 60_000;
const NOW = 1000 * MINUTE;
const came = (...minutesAgo: number[]): Columns => ({
  times: minutesAgo.map((minutes) => NOW - minutes * MINUTE),
  series: [],
});

test("the first samples that come are a backlog if they are old", () => {
  expect(isBacklog(tailFrom(NOW), came(20, 19))).toBe(true);
  expect(isBacklog(tailFrom(NOW), came(0.5, 0))).toBe(false);
});

test("all parts of a backlog are told, though the later ones follow the earlier", () => {
  const tail = follow(tailFrom(NOW), came(20, 15));
  expect(isBacklog(tail, came(14, 10))).toBe(true);
});

test("samples are old by the newest that came, too", () => {
  const tail = follow(tailFrom(NOW), came(-30));
  expect(isBacklog(tail, came(-29))).toBe(false);
  expect(isBacklog(tail, came(-20))).toBe(true);
  expect(isBacklog(tail, came())).toBe(false);
});

test("what is older than half an hour is let go", () => {
  const tail = [came(29), came(-0.5), came(-2)].reduce(follow, tailFrom(NOW));
  expect(tail.kept).toEqual([came(-0.5), came(-2)]);
});
