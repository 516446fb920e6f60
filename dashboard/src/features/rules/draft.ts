/** A rule as it is typed, and what it comes to. Pure; the hub judges what of it belongs together. */
import type { Rule, ScopedRule, Severity } from "@/lib/api";
import { secondsOf } from "@/lib/units";

export type Kind = "sample" | "forecast" | "no_data" | "check" | "probe" | "silent";
export type Label = { id: number; key: string; value: string };

/** Every field holds what is typed. */
export type Draft = {
  scope: ScopedRule["scope"];
  tag: string;
  serverId: string;
  kind: Kind;
  name: string;
  severity: Severity;
  metric: string;
  labels: Label[];
  aggregate: Rule["aggregate"];
  window: string;
  above: string;
  below: string;
  aboveClear: string;
  belowClear: string;
  target: string;
  noData: string;
  check: string;
  probe: string;
  states: Rule["states"];
  times: string;
  of: string;
  recover: string;
  silent: string;
  hold: string;
  clearHold: string;
  message: string;
  order: Rule["order"];
  enabled: boolean;
};

/** Field to what is wrong with it. */
export type Faults = Map<string, string>;

let lastId = 0;
export function label(key: string, value: string): Label {
  lastId += 1;
  return { id: lastId, key, value };
}

export const BLANK: Rule = {
  name: "",
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

function kindOf(rule: Rule): Kind {
  if (rule.check) return "check";
  if (rule.probe) return "probe";
  if (rule.silent) return "silent";
  if (rule.no_data) return "no_data";
  return rule.aggregate === "forecast" ? "forecast" : "sample";
}

const typed = (value: number | null | undefined) => (typeof value === "number" ? String(value) : "");

export function draftOf(rule: Rule, scope: Omit<ScopedRule, "rule">): Draft {
  return {
    scope: scope.scope,
    tag: scope.tag,
    serverId: scope.server_id ?? "",
    kind: kindOf(rule),
    name: rule.name,
    severity: rule.severity,
    metric: rule.metric,
    labels: Object.entries(rule.labels).map(([key, value]) => label(key, value)),
    aggregate: rule.aggregate,
    window: rule.window,
    above: typed(rule.above),
    below: typed(rule.below),
    aboveClear: typed(rule.above_clear),
    belowClear: typed(rule.below_clear),
    target: typed(rule.target),
    noData: rule.no_data,
    check: rule.check,
    probe: rule.probe,
    states: rule.states,
    times: String(rule.times),
    of: rule.of > 0 ? String(rule.of) : "",
    recover: String(rule.recover),
    silent: rule.silent,
    hold: rule.hold,
    clearHold: rule.clear_hold,
    message: rule.message,
    order: rule.order,
    enabled: rule.enabled,
  };
}

const BYTES: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
const THOUSANDS: Record<string, number> = { k: 1e3, M: 1e6, G: 1e9 };

/** A value as people type it, in the metric's own unit: `0.9`, `90%`, `10 GiB`, `5m`, `2k`; null for anything else. */
export function amountOf(text: string): number | null {
  const words = text.trim().replace(",", ".");
  const found = /^(-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*([%a-zA-Z]*)$/.exec(words);
  if (found) {
    const number = Number(found[1]);
    const unit = found[2] ?? "";
    if (unit === "") return number;
    if (unit === "%") return Math.round(number * 1e10) / 1e12;
    const size = BYTES[unit] ?? THOUSANDS[unit];
    if (size !== undefined) return number * size;
  }
  return secondsOf(words);
}

/** The rule that the fields hold; lawful in form only where `faults` is empty. */
export function readRule(draft: Draft): { wanted: ScopedRule; faults: Faults } {
  const faults: Faults = new Map();
  const need = (field: keyof Draft, text: string) => {
    if (text.trim() === "") faults.set(field, "Needed");
    return text.trim();
  };
  const value = (field: keyof Draft, text: string) => {
    if (text.trim() === "") return null;
    const number = amountOf(text);
    if (number === null) faults.set(field, "A number, such as 0.9, 90%, 10 GiB or 5m");
    return number;
  };
  const span = (field: keyof Draft, text: string) => {
    if (text.trim() !== "" && secondsOf(text) === null)
      faults.set(field, "A duration, such as 30s, 5m or 1h");
    return text.trim();
  };
  const whole = (field: keyof Draft, text: string, least: number) => {
    const number = text.trim() === "" ? least : Number(text);
    if (!Number.isInteger(number) || number < least || number > 100)
      faults.set(field, `A whole number from ${least} to 100`);
    return number;
  };
  const rule: Rule = {
    ...BLANK,
    name: need("name", draft.name),
    severity: draft.severity === "down" && draft.kind !== "silent" ? "critical" : draft.severity,
    hold: draft.kind === "no_data" || draft.kind === "silent" ? "" : span("hold", draft.hold),
    clear_hold: draft.kind === "silent" ? "" : span("clearHold", draft.clearHold),
    message: draft.message.trim(),
    order: draft.order,
    enabled: draft.enabled,
  };
  if (draft.kind === "sample" || draft.kind === "forecast" || draft.kind === "no_data") {
    rule.metric = need("metric", draft.metric);
    rule.labels = Object.fromEntries(
      draft.labels
        .filter(({ key }) => key.trim() !== "")
        .map(({ key, value: worth }) => [key.trim(), worth.trim()]),
    );
  }
  if (draft.kind === "sample") {
    rule.above = value("above", draft.above);
    rule.below = value("below", draft.below);
    if (draft.above.trim() === "" && draft.below.trim() === "") faults.set("above", "Above, below, or both");
    rule.above_clear = rule.above === null ? null : value("aboveClear", draft.aboveClear);
    rule.below_clear = rule.below === null ? null : value("belowClear", draft.belowClear);
    rule.aggregate = draft.aggregate === "forecast" ? "last" : draft.aggregate;
    rule.window = rule.aggregate === "last" ? "" : span("window", need("window", draft.window));
  } else if (draft.kind === "forecast") {
    rule.aggregate = "forecast";
    rule.window = span("window", need("window", draft.window));
    rule.target = value("target", need("target", draft.target));
    rule.below = value("below", need("below", draft.below));
    rule.below_clear = value("belowClear", draft.belowClear);
  } else if (draft.kind === "no_data") rule.no_data = span("noData", need("noData", draft.noData));
  else if (draft.kind === "silent") rule.silent = span("silent", need("silent", draft.silent));
  else {
    if (draft.kind === "check") rule.check = need("check", draft.check);
    else rule.probe = need("probe", draft.probe);
    rule.states = draft.states;
    if (draft.states.length === 0) faults.set("states", "Choose at least one");
    rule.times = whole("times", draft.times, 1);
    rule.of = whole("of", draft.of, 0);
    rule.recover = whole("recover", draft.recover, 1);
    if (rule.of > 0 && rule.of < rule.times) faults.set("of", "At least as many as the times");
  }
  if (draft.scope === "tag") need("tag", draft.tag);
  if (draft.scope === "server") need("serverId", draft.serverId);
  return {
    wanted: {
      scope: draft.scope,
      tag: draft.scope === "tag" ? draft.tag.trim() : "",
      server_id: draft.scope === "server" ? draft.serverId : null,
      rule,
    },
    faults,
  };
}
