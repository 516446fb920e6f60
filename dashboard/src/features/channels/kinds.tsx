"use client";

import { ArrowLeft } from "lucide-react";
import type { ChannelKind } from "@/lib/api";
import { Button } from "@/ui/button";

/** What a new channel can be. */
export function KindPicker({
  kinds,
  onChoose,
  onBack,
}: {
  kinds: readonly ChannelKind[];
  onChoose: (kind: string) => void;
  onBack: () => void;
}) {
  return (
    <div>
      <Button kind="quiet" className="-ml-2 mb-2" onClick={onBack}>
        <ArrowLeft aria-hidden />
        All channels
      </Button>
      <ul className="grid grid-cols-1 gap-3 sm:grid-cols-2" aria-label="Kinds of channels">
        {kinds.map((kind) => (
          <li key={kind.kind}>
            <button
              type="button"
              data-kind={kind.kind}
              onClick={() => onChoose(kind.kind)}
              className="flex size-full flex-col rounded-xl border border-line bg-surface px-4 py-3 text-left shadow-card hover:border-line-strong"
            >
              <span className="font-medium">{kind.title}</span>
              <span className="text-sm text-pretty text-ink-2">{kind.help}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
