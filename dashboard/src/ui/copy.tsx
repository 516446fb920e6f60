"use client";

import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { classes } from "@/lib/classes";

async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain http on a network address has no clipboard; the old way still works there.
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function CopyButton({ text, label, small = false }: { text: string; label: string; small?: boolean }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      onClick={async () => setDone(await copied(text))}
      className={classes(
        "inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md text-ink-3 transition-colors hover:bg-ink/7 hover:text-ink",
        small ? "size-6" : "h-7 px-2 text-xs font-medium",
      )}
    >
      {done ? <Check className="size-3.5 text-up" aria-hidden /> : <Copy className="size-3.5" aria-hidden />}
      {!small && <span aria-hidden>{done ? "Copied" : "Copy"}</span>}
      <span role="status" className="sr-only">
        {done ? "Copied" : ""}
      </span>
    </button>
  );
}

/** One command, to be taken as it stands. */
export function Command({ command, label }: { command: string; label: string }) {
  return (
    <div className="flex items-start gap-2 rounded-lg border border-line bg-sunken py-1.5 pr-1.5 pl-3">
      <pre className="min-w-0 flex-1 py-1 font-mono text-xs leading-5 wrap-anywhere whitespace-pre-wrap text-ink">
        <code>{command}</code>
      </pre>
      <CopyButton text={command} label={label} />
    </div>
  );
}
