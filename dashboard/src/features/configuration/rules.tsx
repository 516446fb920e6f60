import type { Rule } from "@/lib/api";
import { count } from "@/lib/units";
import { Panel } from "@/ui/panel";

/** `cpu above 0.9 for 5m`, `systemd:* down`. */
function ruleInWords(rule: Rule): string {
  const thing = rule.check || rule.metric;
  const labels = Object.entries(rule.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const when = rule.check
    ? (rule.states ?? []).join(" or ")
    : [
        typeof rule.above === "number" && `above ${count(rule.above)}`,
        typeof rule.below === "number" && `below ${count(rule.below)}`,
      ]
        .filter(Boolean)
        .join(" or ");
  return [thing, labels.length > 0 && `{${labels.join(", ")}}`, when, rule.hold && `for ${rule.hold}`]
    .filter(Boolean)
    .join(" ");
}

/** The rules of the bundle, to be read. */
export function RuleList({ rules }: { rules: readonly Rule[] }) {
  return (
    <Panel>
      <h2 className="border-b border-line px-4 py-3 text-base font-semibold tracking-tight">Rules</h2>
      <ul aria-label="Rules" className="divide-y divide-line">
        {rules.map((rule) => (
          <li
            key={rule.name}
            className="flex flex-wrap items-baseline gap-x-3 px-4 py-2.5"
            data-testid="rule"
          >
            <span className="font-medium break-all">{rule.name}</span>
            <span className="min-w-0 flex-1 text-sm break-words text-ink-2">{ruleInWords(rule)}</span>
            <span className="text-xs text-ink-3">{rule.severity}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
