import { expect, test } from "vitest";
import { alertOf } from "@/lib/alerts.example";
import { partsOf, sizeOf } from "./group";

const ids = (alerts: ReturnType<typeof alertOf>[]) =>
  partsOf(alerts).map((part) => [
    part.severity,
    part.groups.map(({ alert, beneath }) => [alert.id, beneath.map(({ id }) => id)]),
  ]);

test("the gravest stand first, and of these what nobody has taken on, then the newest", () => {
  expect(
    ids([
      alertOf({ id: "old", severity: "warning", detected_at: 1, server_id: "a" }),
      alertOf({ id: "taken", severity: "critical", detected_at: 9, server_id: "b", state: "acknowledged" }),
      alertOf({ id: "new", severity: "warning", detected_at: 2, server_id: "c" }),
      alertOf({ id: "bad", severity: "critical", detected_at: 3, server_id: "d" }),
    ]),
  ).toEqual([
    [
      "critical",
      [
        ["bad", []],
        ["taken", []],
      ],
    ],
    [
      "warning",
      [
        ["new", []],
        ["old", []],
      ],
    ],
  ]);
});

test("what a server that is down explains stands beneath it, each alert once", () => {
  const parts = partsOf([
    alertOf({ id: "unit", severity: "critical", server_id: "web-1" }),
    alertOf({ id: "silent", severity: "down", server_id: "web-1" }),
    alertOf({ id: "other", severity: "critical", server_id: "web-2" }),
    alertOf({ id: "hub", severity: "critical", server_id: null }),
  ]);
  expect(parts.map((part) => [part.severity, part.groups.map(({ alert }) => alert.id)])).toEqual([
    ["down", ["silent"]],
    ["critical", ["hub", "other"]],
  ]);
  expect(parts[0]?.groups[0]?.beneath.map(({ id }) => id)).toEqual(["unit"]);
  expect(parts.map(sizeOf)).toEqual([2, 2]);
});

test("nothing open has no parts", () => {
  expect(partsOf([])).toEqual([]);
});
