import { expect, test } from "vitest";
import type { Catalogue } from "@/lib/api";
import type { Known } from "@/lib/data";
import { GONE, groupsOf, withWords } from "./chart-groups";

const metric = (name: string, help = "") => ({ name, unit: "1", help, good: "none" as const });
const chart = (title: string, name: string) => ({
  title,
  metrics: [name],
  by: [],
  style: "line" as const,
  mirror: [],
  top: null,
});
const CATALOGUE: Catalogue = {
  fingerprint: "f",
  agent_version: "1",
  host: {},
  monitors: [
    {
      name: "postgres",
      title: "PostgreSQL",
      interval_seconds: 30,
      metrics: [metric("pg.backends", "Connections that are open"), metric("pg.locks")],
      charts: [chart("Backends", "pg.backends"), chart("Locks", "pg.locks")],
      headlines: [],
      rules: [],
    },
  ],
};
const known = (facts: Record<string, string[]>): Known =>
  new Map(Object.entries(facts).map(([name, names]) => [name, new Set(names)]));

test("charts without samples are named apart, and several of one type are known by name", () => {
  const [group] = groupsOf(CATALOGUE, known({ "pg.backends": ["spare", "main"] }));
  expect(group?.charts.map(({ title }) => title)).toEqual(["Backends"]);
  expect(group?.absent.map(({ title }) => title)).toEqual(["Locks"]);
  expect(group?.instances).toEqual(["main", "spare"]);
});

test("figures of a monitor that has gone are still to be found", () => {
  const groups = groupsOf(
    CATALOGUE,
    known({ "pg.backends": [], "nginx.requests": [], "twinwatch.agent.x": [] }),
  );
  expect(groups.map(({ monitor, gone }) => [monitor.name, gone])).toEqual([
    ["postgres", false],
    [GONE, true],
  ]);
  expect(groups[1]?.charts.map(({ metrics }) => metrics)).toEqual([["nginx.requests"]]);
  expect(groups[0]?.instances).toEqual([]);
});

test("words are looked for in titles, names and helps", () => {
  const groups = groupsOf(CATALOGUE, undefined);
  const titles = (words: string) =>
    withWords(groups, words).flatMap(({ charts }) => charts.map(({ title }) => title));
  expect(titles("")).toEqual(["Backends", "Locks"]);
  expect(titles("postgresql OPEN")).toEqual(["Backends"]);
  expect(titles("pg.lock")).toEqual(["Locks"]);
  expect(titles("nothing")).toEqual([]);
});
