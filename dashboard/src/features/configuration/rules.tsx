import type { Rule } from "@/lib/api";
import { ruleInWords } from "@/lib/words";
import { Panel } from "@/ui/panel";

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
