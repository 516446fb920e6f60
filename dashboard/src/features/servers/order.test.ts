import { expect, test } from "vitest";
import type { Server } from "@/lib/api";
import { matching, sorted, titlesOf } from "./order";

const server = (
  name: string,
  state: Server["state"],
  cpu: number | null,
  os = "Debian GNU/Linux 12",
): Server => ({
  id: name,
  organization_id: "o",
  name,
  state,
  registered_at: 0,
  last_heartbeat_at: cpu === null ? null : cpu * 1000,
  last_sample_at: null,
  agent_version: "0.1.0",
  clock_skew_seconds: null,
  host: { "os.description": os },
  headlines:
    cpu === null ? [] : [{ title: "CPU", metric: "c", unit: "1", good: "low", value: cpu, labels: {} }],
  checks: { up: 0, degraded: 0, down: 0, unknown: 0 },
  delivery: null,
  control: true,
  tags: [],
  fast: false,
  life: null,
});
const fleet = [
  server("web-10", "up", 0.2),
  server("web-2", "up", 0.9),
  server("db", "down", 0.5, "Alpine"),
  server("pi", "new", null),
];
const names = (servers: Server[]) => servers.map(({ name }) => name);

test("what needs attention comes first", () => {
  expect(names(sorted(fleet, "state"))).toEqual(["db", "pi", "web-2", "web-10"]);
});

test("among servers that are up, those with failing checks come first", () => {
  const failing = (name: string, down: number, degraded: number): Server => ({
    ...server(name, "up", 0.1),
    checks: { up: 9, degraded, down, unknown: 0 },
  });
  const all = [server("a", "up", 0), failing("b", 0, 1), failing("c", 0, 3), failing("d", 1, 0), ...fleet];
  expect(names(sorted(all, "state"))).toEqual(["db", "d", "c", "b", "pi", "a", "web-2", "web-10"]);
});

test("figures run from high to low, names upward, and a minus turns them round", () => {
  expect(names(sorted(fleet, "CPU"))).toEqual(["web-2", "db", "web-10", "pi"]);
  expect(names(sorted(fleet, "-CPU"))).toEqual(["pi", "web-10", "db", "web-2"]);
  expect(names(sorted(fleet, "name"))).toEqual(["db", "pi", "web-2", "web-10"]);
});

test("every word must be found, in the name, the tags or the system", () => {
  const tagged = fleet.map((each) => (each.name === "db" ? { ...each, tags: ["prod"] } : each));
  expect(names(matching(tagged, "prod", "all"))).toEqual(["db"]);
  expect(names(matching(fleet, "WEB debian", "all"))).toEqual(["web-10", "web-2"]);
  expect(names(matching(fleet, "", "down"))).toEqual(["db"]);
});

test("columns are the headlines that the servers bring", () => {
  expect(titlesOf(fleet)).toEqual(["CPU"]);
});
