"use client";

import { ArrowLeft, ChevronRight, PackageOpen, SearchIcon } from "lucide-react";
import { useState } from "react";
import type { MonitorKind } from "@/lib/api";
import { duration } from "@/lib/units";
import { Button } from "@/ui/button";
import { EmptyFace } from "@/ui/faces";
import { Search } from "@/ui/field";
import { Panel } from "@/ui/panel";
import { matchingKinds } from "./entries";

/** What this agent could watch. */
export function KindPicker({
  kinds,
  onChoose,
  onBack,
}: {
  kinds: readonly MonitorKind[];
  onChoose: (type: string) => void;
  onBack: () => void;
}) {
  const [words, setWords] = useState("");
  const shown = matchingKinds(kinds, words);
  return (
    <div>
      <Button kind="quiet" className="-ml-2 mb-2" onClick={onBack}>
        <ArrowLeft aria-hidden />
        All monitors
      </Button>
      <div className="mb-3 flex flex-wrap items-center justify-between gap-2">
        <h2 className="text-lg font-semibold tracking-tight">What shall be watched?</h2>
        {kinds.length > 6 && (
          <Search
            icon={<SearchIcon aria-hidden />}
            aria-label="Filter types of monitors"
            placeholder="Filter"
            className="w-full sm:w-56"
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
        )}
      </div>
      {shown.length === 0 ? (
        <Panel>
          <EmptyFace
            icon={<PackageOpen aria-hidden />}
            title={kinds.length ? "Nothing matches" : "Nothing to choose from"}
          >
            {kinds.length
              ? `This agent has no monitor for “${words}”.`
              : "The agent has not said yet what it can watch. An agent of an older version never does: update it."}
          </EmptyFace>
        </Panel>
      ) : (
        <ul aria-label="Types of monitors" className="grid gap-2.5 sm:grid-cols-2 lg:grid-cols-3">
          {shown.map((kind) => (
            <li key={kind.type}>
              <button
                type="button"
                data-kind={kind.type}
                onClick={() => onChoose(kind.type)}
                className="flex h-full w-full items-start gap-3 rounded-xl border border-line bg-surface px-4 py-3 text-left shadow-card transition-colors hover:border-line-strong"
              >
                <span className="min-w-0 flex-1">
                  <span className="flex flex-wrap items-baseline gap-x-2">
                    <span className="font-medium">{kind.title}</span>
                    <code className="font-mono text-2xs text-ink-3">{kind.type}</code>
                  </span>
                  <span className="mt-0.5 line-clamp-3 text-sm text-pretty text-ink-2">{kind.help}</span>
                  {kind.interval_seconds > 0 && (
                    <span className="mt-1 block text-2xs text-ink-3">
                      every {duration(kind.interval_seconds)}
                    </span>
                  )}
                </span>
                <ChevronRight aria-hidden className="mt-0.5 size-4 shrink-0 text-ink-3" />
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
