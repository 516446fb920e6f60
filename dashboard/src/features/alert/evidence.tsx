import type { AlertDetail } from "@/lib/api";
import { moment } from "@/lib/units";
import { CopyButton } from "@/ui/copy";
import { Panel } from "@/ui/panel";

/** What was true on the server at that moment, as its agent saw it. */
export function Evidence({ detail }: { detail: AlertDetail }) {
  const parts = Object.entries(detail.evidence);
  if (parts.length === 0) return null;
  return (
    <Panel>
      <div className="flex flex-wrap items-baseline justify-between gap-x-3 border-b border-line px-4 py-3">
        <h2 className="text-base font-semibold tracking-tight">Evidence</h2>
        {detail.evidence_at !== null && (
          <span className="text-xs text-ink-3">as of {moment(detail.evidence_at)}</span>
        )}
      </div>
      <div className="divide-y divide-line" data-testid="evidence">
        {parts.map(([title, lines]) => (
          <section key={title} aria-label={title} className="px-4 py-3">
            <div className="mb-1 flex items-center justify-between gap-3">
              <h3 className="text-sm font-medium wrap-anywhere">{title}</h3>
              <CopyButton text={lines.join("\n")} label={`Copy ${title}`} />
            </div>
            <pre
              // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
              tabIndex={0}
              className="max-h-80 overflow-auto rounded-lg border border-line bg-sunken px-3 py-2 font-mono text-xs leading-5"
            >
              {lines.join("\n")}
            </pre>
          </section>
        ))}
      </div>
    </Panel>
  );
}
