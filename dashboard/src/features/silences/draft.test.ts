import { expect, test } from "vitest";
import type { Silence } from "@/lib/api";
import { localInput } from "@/lib/units";
import { type Draft, inOrder, readSilence, standingOf } from "./draft";

const NOW = 1_700_000_040_000;
const HOURS = { zone: "Europe/Zurich", start: "22:00", end: "06:00", days: [0, 1] };
const DRAFT: Draft = {
  what: { servers: [], tags: [], rule: "" },
  kind: "once",
  starts: "",
  ends: "",
  hours: HOURS,
  comment: " Moving. ",
};
const silence = (given: Partial<Silence>): Silence => ({
  id: "s",
  organization_id: "o",
  comment: "",
  what: DRAFT.what,
  again: null,
  starts_at: NOW - 1000,
  ends_at: null,
  author: "",
  active: true,
  ...given,
});

test("nothing typed is a silence from now until somebody ends it", () => {
  const { wanted, faults } = readSilence(DRAFT, "o", NOW);
  expect(faults).toEqual({});
  expect(wanted).toEqual({
    organization_id: "o",
    comment: "Moving.",
    what: DRAFT.what,
    again: null,
    starts_at: null,
    ends_at: null,
  });
});

test("an end that has passed, half a time and hours without a day are told", () => {
  expect(readSilence({ ...DRAFT, ends: localInput(NOW - 3_600_000) }, "o", NOW).faults.ends).toMatch(/later/);
  expect(readSilence({ ...DRAFT, starts: "2026-11" }, "o", NOW).faults.starts).toBeDefined();
  const never = { ...DRAFT, kind: "recurring" as const, hours: { ...HOURS, days: [] } };
  expect(readSilence(never, "o", NOW).faults.days).toBeDefined();
  expect(readSilence({ ...DRAFT, kind: "recurring" }, "o", NOW).wanted.again).toEqual(HOURS);
});

test("what holds stands first and what is over last", () => {
  const all = [
    silence({ id: "over", ends_at: NOW - 1, active: false }),
    silence({ id: "coming", starts_at: NOW + 1000, active: false }),
    silence({ id: "waits", again: HOURS, active: false }),
    silence({ id: "holds" }),
  ];
  expect(inOrder(all, NOW).map(({ id }) => id)).toEqual(["holds", "waits", "coming", "over"]);
  expect(standingOf(silence({ again: HOURS }), NOW)).toBe("holds");
  // The page was loaded before it ended: the clock knows better than the answer.
  expect(standingOf(silence({ ends_at: NOW, active: true }), NOW)).toBe("over");
});
