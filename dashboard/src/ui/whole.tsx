/** The faces of a view around its full one: loading, refused, and out of date. */
"use client";

import { CircleAlert, RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import { Problem } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { ago } from "@/lib/units";
import { ErrorFace, Loading, Skeleton } from "./faces";
import { Banner, Panel } from "./panel";

type Query<T> = {
  data: T | undefined;
  error: Error | null;
  dataUpdatedAt: number;
  refetch: () => unknown;
};

const ROWS = ["a", "b", "c", "d"];

/** What was asked for, once it is there; until then that it is on its way, or why not. */
export function Whole<T>({
  query,
  what,
  children,
}: {
  query: Query<T>;
  /** In a sentence: `the alert`, `channels`. */
  what: string;
  children: (data: T) => ReactNode;
}) {
  if (query.data === undefined)
    return query.error ? (
      <Panel>
        <ErrorFace problem={query.error} retry={() => void query.refetch()} />
      </Panel>
    ) : (
      <Loading what={what}>
        <Panel className="divide-y divide-line overflow-hidden">
          {ROWS.map((row) => (
            <div key={row} className="flex h-16 items-center gap-3 px-4">
              <Skeleton className="size-5 rounded-full" />
              <div className="flex flex-1 flex-col gap-2">
                <Skeleton className="h-4 w-2/5" />
                <Skeleton className="h-3 w-3/5" />
              </div>
            </div>
          ))}
        </Panel>
      </Loading>
    );
  return (
    <>
      {query.error && <Stale query={query} error={query.error} what={what} />}
      {children(query.data)}
    </>
  );
}

function Stale({ query, error, what }: { query: Query<unknown>; error: Error; what: string }) {
  useNow();
  return (
    <div className="mb-4">
      <Banner
        tone="late"
        testId="stale"
        icon={<CircleAlert aria-hidden />}
        action={
          <button
            type="button"
            onClick={() => void query.refetch()}
            className="flex items-center gap-1 font-medium underline-offset-4 hover:underline"
          >
            <RotateCw className="size-3.5" aria-hidden /> Try again
          </button>
        }
      >
        <strong className="font-medium">Loaded {ago(query.dataUpdatedAt, Date.now())}.</strong>{" "}
        <span className="text-ink-2">
          It could not be loaded anew: {what}. {error.message}
          {error instanceof Problem && error.requestId && (
            <>
              {" "}
              Request <code className="font-mono text-xs">{error.requestId}</code>
            </>
          )}
        </span>
      </Banner>
    </div>
  );
}
