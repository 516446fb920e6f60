/** Rules, selectors, hours and steps as people read them. Pure. */
import type { Policy, Recurring, Rule, ScopedRule, Selector } from "./api";
import { counted, duration, say, secondsOf } from "./units";

type Named = { id: string; name: string };

export const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] as const;

export function nameOf(known: readonly Named[], id: string): string {
  return known.find((each) => each.id === id)?.name ?? "one that is gone";
}

function listed(words: readonly string[], last: string): string {
  const end = words.at(-1);
  if (end === undefined) return "";
  return words.length === 1 ? end : `${words.slice(0, -1).join(", ")} ${last} ${end}`;
}

/** `every alert`, `“disk: fills” on web-1 or db`, `everything tagged prod`. */
export function selectorInWords(what: Selector, servers: readonly Named[]): string {
  const where = [
    ...(what.servers.length > 0
      ? [
          `on ${listed(
            what.servers.map((id) => nameOf(servers, id)),
            "or",
          )}`,
        ]
      : []),
    ...(what.tags.length > 0 ? [`tagged ${listed(what.tags, "or")}`] : []),
  ];
  const subject = what.rule ? `“${what.rule}”` : where.length > 0 ? "everything" : "every alert";
  return [subject, where.join(" or ")].filter(Boolean).join(" ");
}

/** `22:00 to 06:00, Mon to Fri, Europe/Zurich`. */
export function hoursInWords({ start, end, days, zone }: Recurring): string {
  return `${start} to ${end}, ${daysInWords(days)}, ${zone}`;
}

function daysInWords(days: readonly number[]): string {
  const sorted = [...new Set(days)].sort((a, b) => a - b);
  if (sorted.length === 7) return "every day";
  const first = sorted[0] ?? 0;
  const together = sorted.length > 2 && sorted.every((day, index) => day === first + index);
  const names = sorted.map((day) => DAYS[day] ?? "");
  return together ? `${names[0]} to ${names.at(-1)}` : listed(names, "and");
}

/** A span as people say it: `5 min`, `1 h 30 min`. What is no duration is said as it is. */
function spanInWords(text: string): string {
  const seconds = secondsOf(text);
  return seconds === null ? text : duration(seconds);
}

const AGGREGATES: Record<Rule["aggregate"], string> = {
  last: "",
  mean: "mean of ",
  min: "lowest ",
  max: "highest ",
  sum: "sum of ",
  change: "change of ",
  rate: "rate of ",
  forecast: "",
};

/** When a rule alerts, in one line: `mean of system.cpu.utilization over 5 min above 90.0% for 10 min`. */
export function ruleInWords(rule: Rule, unit = ""): string {
  const held = rule.hold ? `for ${spanInWords(rule.hold)}` : "";
  if (rule.silent) return `no sign of life for ${spanInWords(rule.silent)}`;
  if (rule.check || rule.probe) {
    const thing = rule.check ? `check ${rule.check}` : `probe ${rule.probe}`;
    const of = rule.of > 0 ? `${rule.times} of the last ${rule.of} times` : "";
    const row = rule.of === 0 && rule.times > 1 ? `${counted(rule.times, "time")} in a row` : "";
    return [thing, listed(rule.states, "or"), of || row, held].filter(Boolean).join(" ");
  }
  const labels = Object.entries(rule.labels).map(([key, value]) => `${key}=${value}`);
  const metric = rule.metric + (labels.length > 0 ? ` {${labels.join(", ")}}` : "");
  if (rule.no_data) return `no sample of ${metric} for ${spanInWords(rule.no_data)}`;
  if (rule.aggregate === "forecast")
    return [
      metric,
      typeof rule.target === "number" && `meets ${say(unit, rule.target)}`,
      typeof rule.below === "number" && `in less than ${duration(rule.below)}`,
      rule.window && `if it goes on as in the last ${spanInWords(rule.window)}`,
      held,
    ]
      .filter(Boolean)
      .join(" ");
  const over = rule.window ? ` over ${spanInWords(rule.window)}` : "";
  const { above, below } = rule;
  const bound =
    typeof above === "number" && typeof below === "number"
      ? `outside of ${say(unit, below)} to ${say(unit, above)}`
      : typeof above === "number"
        ? `above ${say(unit, above)}`
        : typeof below === "number"
          ? `below ${say(unit, below)}`
          : "";
  return [AGGREGATES[rule.aggregate] + metric + over, bound, held].filter(Boolean).join(" ");
}

/** Whose servers a rule judges. */
export function scopeInWords(
  { scope, tag, server_id }: Pick<ScopedRule, "scope" | "tag" | "server_id">,
  servers: readonly Named[],
): string {
  if (scope === "tag") return `servers tagged ${tag}`;
  return scope === "server" ? nameOf(servers, server_id ?? "") : "all servers";
}

/** A channel that a step names: by its id, or all of a kind. */
export function addresseeInWords(
  named: string,
  channels: readonly Named[],
  kinds: readonly { kind: string; title: string }[],
): string {
  if (!named.startsWith("kind:")) return nameOf(channels, named);
  const kind = named.slice(5);
  return `every ${kinds.find((each) => each.kind === kind)?.title ?? kind} channel`;
}

/** `at once`, `after 15 min`. */
export function stepTime(seconds: number): string {
  return seconds === 0 ? "at once" : `after ${duration(seconds)}`;
}

/** What follows the steps: `again every 30 min until somebody acknowledges it`. */
export function repeatInWords({ repeat_seconds }: Pick<Policy, "repeat_seconds">): string {
  return repeat_seconds > 0
    ? `again every ${duration(repeat_seconds)} until somebody acknowledges it`
    : "not repeated";
}
