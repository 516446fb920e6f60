import { expect, test } from "vitest";
import type { Configuration, MonitorEntry, MonitorStanding } from "@/lib/api";
import {
  askedAgain,
  besideEntry,
  faultsOf,
  freeName,
  nameOf,
  otherProblems,
  rowsOf,
  spotOf,
  withEntry,
  withoutEntry,
} from "./entries";

const entry = (type: string, name = ""): MonitorEntry => ({
  type,
  name,
  enabled: true,
  interval: "",
  timeout: "",
  options: {},
});
const standing = (name: string, type: string, origin: MonitorStanding["origin"]): MonitorStanding => ({
  name,
  type,
  origin,
  state: "ok",
  reason: "",
  interval_seconds: 15,
  since: 0,
});
const configuration = (monitors: MonitorEntry[], problems: string[] = []): Configuration => ({
  version: 3,
  monitors,
  rules: [],
  updated_at: 0,
  updated_by: "a@example.org",
  secrets_lost: false,
  standing: { version: 3, refused: 0, problems },
  reported_at: 0,
  kinds: [{ type: "http", title: "HTTP", help: "", interval_seconds: 30, options: {} }],
});

test("rows tell where each monitor comes from, and how it fares", () => {
  const rows = rowsOf(configuration([entry("tcp", "db"), entry("http"), entry("ping", "gate")]), [
    standing("system", "system", "default"),
    standing("http:shop", "http", "hub"),
    standing("http:blog", "http", "hub"),
    standing("gate", "ping", "file"),
  ]);
  expect(rows.map((row) => [row.name, row.origin, row.standings.length, row.overruled])).toEqual([
    ["db", "hub", 0, false],
    ["gate", "hub", 0, true],
    ["http", "hub", 2, false],
    ["gate", "file", 1, false],
    ["system", "default", 1, false],
  ]);
  expect(rows[2]?.title).toBe("HTTP");
});

test("a problem stands beside the monitor that it is about, the rest apart", () => {
  const facts = configuration(
    [entry("http"), entry("http", "http-2")],
    ["hub: monitors[1].endpoints[0].url: expected a URL", "/etc/agent.yaml:3:1: unknown key intervall"],
  );
  expect(rowsOf(facts, []).map(({ problems }) => problems.length)).toEqual([0, 1]);
  expect(otherProblems(facts)).toEqual(["/etc/agent.yaml:3:1: unknown key intervall"]);
  // Of a version before this one: the second monitor of the list may be another by now.
  const older = { ...facts, version: 4 };
  expect(rowsOf(older, []).map(({ problems }) => problems.length)).toEqual([0, 0]);
  expect(otherProblems(older)).toEqual(["/etc/agent.yaml:3:1: unknown key intervall"]);
});

test("a problem says which field it means", () => {
  expect(spotOf("hub: monitors[0]: two: colons")).toEqual({ index: 0, place: "", message: "two: colons" });
  expect(besideEntry("hub: monitors[0].endpoints[0].url: no")).toBe("endpoints[0].url: no");
  expect(besideEntry("hub: monitors[0].pages[0]: pages[0]: too few")).toBe("pages[0]: too few");
  expect(besideEntry("hub: monitors[0]: unknown type")).toBe("unknown type");
  expect([
    ...faultsOf([
      "hub: monitors[1].endpoints[0].url: expected a URL",
      "hub: monitors[1].interval: expected 5s to 1h",
      "hub: monitors[1]: unknown type",
    ]),
  ]).toEqual([
    ["options.endpoints.0.url", "expected a URL"],
    ["interval", "expected 5s to 1h"],
  ]);
});

test("a secret that must be entered again is told at its field", () => {
  const refusal = "monitor pages, option endpoints[0].token: no secret is kept here that *** could stand for";
  expect([...askedAgain(refusal).keys()]).toEqual(["options.endpoints.0.token"]);
  expect(askedAgain("something else").size).toBe(0);
});

test("monitors are changed, added and removed by name", () => {
  const all = [entry("http"), entry("http", "b")];
  expect(withEntry(all, "b", entry("http", "c")).map(nameOf)).toEqual(["http", "c"]);
  expect(withEntry(all, null, entry("tcp")).map(nameOf)).toEqual(["http", "b", "tcp"]);
  // Somebody else removed it meanwhile: what was typed is not lost.
  expect(withEntry(all, "gone", entry("tcp")).map(nameOf)).toEqual(["http", "b", "tcp"]);
  expect(withoutEntry(all, "http").map(nameOf)).toEqual(["b"]);
});

test("a second monitor of a type gets a name of its own", () => {
  expect(freeName("http", [])).toBe("");
  expect(freeName("http", ["http", "http-2"])).toBe("http-3");
});
