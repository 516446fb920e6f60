import { expect, test } from "vitest";
import type { Rule } from "./api";
import {
  addresseeInWords,
  hoursInWords,
  repeatInWords,
  ruleInWords,
  scopeInWords,
  selectorInWords,
  stepTime,
} from "./words";

const SERVERS = [
  { id: "1", name: "web-1" },
  { id: "2", name: "db" },
];

const RULE: Rule = {
  name: "r",
  severity: "warning",
  metric: "",
  labels: {},
  aggregate: "last",
  window: "",
  no_data: "",
  check: "",
  probe: "",
  states: ["down"],
  times: 1,
  of: 0,
  recover: 1,
  silent: "",
  hold: "",
  clear_hold: "",
  message: "",
  order: "",
  enabled: true,
};

test("a selector says what is meant and where", () => {
  const what = { servers: [], tags: [], rule: "" };
  expect(selectorInWords(what, SERVERS)).toBe("every alert");
  expect(selectorInWords({ ...what, rule: "disk*" }, SERVERS)).toBe("“disk*”");
  expect(selectorInWords({ ...what, servers: ["1", "2", "3"] }, SERVERS)).toBe(
    "everything on web-1, db or one that is gone",
  );
  expect(selectorInWords({ servers: ["1"], tags: ["prod"], rule: "disk" }, SERVERS)).toBe(
    "“disk” on web-1 or tagged prod",
  );
});

test("hours name their days and their zone", () => {
  const hours = { zone: "Europe/Zurich", start: "22:00", end: "06:00" };
  expect(hoursInWords({ ...hours, days: [0, 1, 2, 3, 4, 5, 6] })).toBe(
    "22:00 to 06:00, every day, Europe/Zurich",
  );
  expect(hoursInWords({ ...hours, days: [4, 0, 1, 2, 3] })).toBe("22:00 to 06:00, Mon to Fri, Europe/Zurich");
  expect(hoursInWords({ ...hours, days: [6, 5] })).toBe("22:00 to 06:00, Sat and Sun, Europe/Zurich");
});

test("a rule reads as one line, with its thresholds in the metric's unit", () => {
  const cpu = { ...RULE, metric: "system.cpu.utilization", above: 0.9, hold: "10m" };
  expect(ruleInWords(cpu, "1")).toBe("system.cpu.utilization above 90.0% for 10 min");
  expect(ruleInWords({ ...cpu, aggregate: "mean", window: "5m", hold: "" }, "1")).toBe(
    "mean of system.cpu.utilization over 5 min above 90.0%",
  );
  expect(ruleInWords({ ...cpu, below: 0.1, hold: "", labels: { cpu: "0" } }, "1")).toBe(
    "system.cpu.utilization {cpu=0} outside of 10.0% to 90.0%",
  );
  expect(
    ruleInWords(
      { ...RULE, metric: "disk", aggregate: "forecast", target: 1, below: 14_400, window: "1h" },
      "1",
    ),
  ).toBe("disk meets 100% in less than 4 h if it goes on as in the last 1 h");
  expect(ruleInWords({ ...RULE, metric: "app.jobs", no_data: "15m" })).toBe(
    "no sample of app.jobs for 15 min",
  );
});

test("checks, probes and silence read as they are judged", () => {
  expect(ruleInWords({ ...RULE, check: "systemd:*" })).toBe("check systemd:* down");
  expect(ruleInWords({ ...RULE, check: "http:*", states: ["degraded", "down"], times: 2, of: 3 })).toBe(
    "check http:* degraded or down 2 of the last 3 times",
  );
  expect(ruleInWords({ ...RULE, probe: "shop", times: 3, hold: "1m30s" })).toBe(
    "probe shop down 3 times in a row for 1 min 30 s",
  );
  expect(ruleInWords({ ...RULE, silent: "2m" })).toBe("no sign of life for 2 min");
});

test("scope, addressees, steps and repetition", () => {
  expect(scopeInWords({ scope: "organization", tag: "", server_id: null }, SERVERS)).toBe("all servers");
  expect(scopeInWords({ scope: "tag", tag: "prod", server_id: null }, SERVERS)).toBe("servers tagged prod");
  expect(scopeInWords({ scope: "server", tag: "", server_id: "2" }, SERVERS)).toBe("db");
  const kinds = [{ kind: "slack", title: "Slack" }];
  expect(addresseeInWords("kind:slack", [], kinds)).toBe("every Slack channel");
  expect(addresseeInWords("kind:teletext", [], kinds)).toBe("every teletext channel");
  expect(addresseeInWords("1", SERVERS, kinds)).toBe("web-1");
  expect(stepTime(0)).toBe("at once");
  expect(stepTime(900)).toBe("after 15 min");
  expect(repeatInWords({ repeat_seconds: 0 })).toBe("not repeated");
  expect(repeatInWords({ repeat_seconds: 1800 })).toBe("again every 30 min until somebody acknowledges it");
});
