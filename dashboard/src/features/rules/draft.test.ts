import { expect, test } from "vitest";
import type { Rule } from "@/lib/api";
import { amountOf, BLANK, draftOf, label, readRule } from "./draft";

const ALL = { scope: "organization" as const, tag: "", server_id: null };
const through = (rule: Rule) => readRule(draftOf(rule, ALL));
const given = (rule: Partial<Rule>): Rule => ({ ...BLANK, name: "r", ...rule });

test("every kind of rule comes through the form as it was", () => {
  const rules: Rule[] = [
    given({
      metric: "cpu",
      above: 0.9,
      below: 0.1,
      above_clear: 0.8,
      below_clear: null,
      hold: "5m",
      labels: { cpu: "!0" },
    }),
    given({
      metric: "cpu",
      aggregate: "mean",
      window: "5m",
      above: 0.9,
      below: null,
      above_clear: null,
      below_clear: null,
    }),
    given({
      metric: "disk",
      aggregate: "forecast",
      window: "1h",
      target: 1,
      below: 14_400,
      below_clear: null,
    }),
    given({ metric: "jobs", no_data: "15m", clear_hold: "1m" }),
    given({
      check: "http:*",
      states: ["degraded", "down"],
      times: 2,
      of: 3,
      recover: 2,
      severity: "critical",
    }),
    given({ probe: "shop", message: "{server} is away", order: "hub_first" }),
    given({ silent: "5m", severity: "down", enabled: false }),
  ];
  for (const rule of rules) {
    const { wanted, faults } = through(rule);
    expect([...faults]).toEqual([]);
    expect(wanted.rule).toEqual(rule);
  }
});

test("values are typed as people write them", () => {
  const texts = ["0.9", "90%", "12,5 %", "10 GiB", "5m", "2k", "-3", "1e-3"];
  expect(texts.map(amountOf)).toEqual([0.9, 0.9, 0.125, 10 * 2 ** 30, 300, 2000, -3, 0.001]);
  expect(["", "much", "10 furlongs", "%"].map(amountOf)).toEqual([null, null, null, null]);
});

test("what cannot be is told beside its field", () => {
  const faultsOf = (change: Partial<ReturnType<typeof draftOf>>) => [
    ...readRule({ ...draftOf(given({ metric: "cpu", above: 1 }), ALL), ...change }).faults.keys(),
  ];
  expect(faultsOf({})).toEqual([]);
  expect(faultsOf({ name: " " })).toEqual(["name"]);
  expect(faultsOf({ above: "" })).toEqual(["above"]);
  expect(faultsOf({ above: "lots" })).toEqual(["above"]);
  expect(faultsOf({ aggregate: "mean" })).toEqual(["window"]);
  expect(faultsOf({ hold: "5 minutes" })).toEqual(["hold"]);
  expect(faultsOf({ kind: "forecast", window: "1h" })).toEqual(["target", "below"]);
  expect(faultsOf({ kind: "check", check: "a", states: [], times: "3", of: "2" })).toEqual(["states", "of"]);
  expect(faultsOf({ kind: "silent" })).toEqual(["silent"]);
  expect(faultsOf({ scope: "tag" })).toEqual(["tag"]);
  expect(faultsOf({ scope: "server" })).toEqual(["serverId"]);
});

test("what was typed for another kind of condition, or left blank, is not sent", () => {
  const draft = draftOf(given({ metric: "cpu", above: 1, labels: { a: "b" } }), ALL);
  const check = readRule({ ...draft, kind: "check", check: "http:shop", severity: "down" }).wanted.rule;
  expect(check).toEqual(given({ check: "http:shop", severity: "critical" }));
  const labels = readRule({ ...draft, labels: [label(" mount ", "/var"), label("", "x")] }).wanted.rule
    .labels;
  expect(labels).toEqual({ mount: "/var" });
});
