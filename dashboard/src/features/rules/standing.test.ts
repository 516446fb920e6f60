import { expect, test } from "vitest";
import type { DefaultRule, Rule, StoredRule } from "@/lib/api";
import { BLANK } from "./draft";
import { groupsOf, isSwitchOff, ownRules } from "./standing";

const given = (monitor: string, name: string, rule: Partial<Rule> = {}): DefaultRule => ({
  monitor,
  rule: { ...BLANK, name, check: `${name}*`, ...rule },
  servers: 2,
});
const stored = (rule: Rule, change: Partial<StoredRule> = {}): StoredRule => ({
  id: rule.name,
  organization_id: "o",
  scope: "organization",
  tag: "",
  server_id: null,
  rule,
  version: 1,
  updated_at: 0,
  author: "",
  ...change,
});

test("a default that is switched off is no rule of one's own, one that says something else is", () => {
  const defaults = [given("systemd", "unit"), given("", "silent"), given("systemd", "other")];
  const off = stored({ ...defaults[0]?.rule, enabled: false, above: null } as Rule);
  const adapted = stored({ ...(defaults[2]?.rule as Rule), severity: "critical" });
  const elsewhere = stored({ ...(defaults[1]?.rule as Rule), enabled: false }, { scope: "tag", tag: "prod" });
  const groups = groupsOf(defaults, [off, adapted, elsewhere]);
  expect(groups.map(({ monitor, rows }) => [monitor, rows.map(({ given: { rule } }) => rule.name)])).toEqual([
    ["", ["silent"]],
    ["systemd", ["unit", "other"]],
  ]);
  expect(groups.flatMap(({ rows }) => rows.map(isSwitchOff))).toEqual([false, true, false]);
  expect(ownRules([off, adapted, elsewhere], groups).map(({ id }) => id)).toEqual(["other", "silent"]);
});
