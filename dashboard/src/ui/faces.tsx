/** The faces of a view beside the full one: loading, empty, refused. */
"use client";

import { CircleAlert, RotateCw, Unplug } from "lucide-react";
import type { CSSProperties, ReactNode } from "react";
import { Problem } from "@/lib/api";
import { classes } from "@/lib/classes";
import { Button } from "./button";
import { CopyButton } from "./copy";

export function Skeleton({ className, style }: { className?: string; style?: CSSProperties }) {
  return <div aria-hidden style={style} className={classes("animate-breathe rounded bg-ink/7", className)} />;
}

/** Says to assistive technology that its contents are on their way. */
export function Loading({
  what,
  children,
  className,
}: {
  what: string;
  children: ReactNode;
  className?: string;
}) {
  return (
    <div role="status" aria-label={`Loading ${what}`} className={className} data-testid="loading">
      {children}
    </div>
  );
}

export function EmptyFace({
  icon,
  title,
  children,
  action,
  className,
}: {
  icon: ReactNode;
  title: string;
  children: ReactNode;
  action?: ReactNode;
  className?: string;
}) {
  return (
    <div
      className={classes("flex flex-col items-center px-6 py-14 text-center", className)}
      data-testid="empty"
    >
      <div className="mb-4 grid size-12 place-items-center rounded-xl border border-line bg-surface text-ink-3 shadow-card [&>svg]:size-5">
        {icon}
      </div>
      <h2 className="text-lg font-semibold tracking-tight">{title}</h2>
      <div className="mt-1 max-w-md text-pretty text-ink-2">{children}</div>
      {action && <div className="mt-5 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

/** A view that could not be loaded: what happened, the request's id for whoever runs the hub, and another try. */
export function ErrorFace({
  problem,
  retry,
  className,
}: {
  problem: Error;
  retry: () => void;
  className?: string;
}) {
  const known = problem instanceof Problem ? problem : null;
  return (
    <div
      role="alert"
      className={classes("flex flex-col items-center px-6 py-14 text-center", className)}
      data-testid="error"
    >
      <div className="mb-4 grid size-12 place-items-center rounded-xl border border-down/25 bg-down/8 text-down [&>svg]:size-5">
        {known?.slug === "unreachable" ? <Unplug aria-hidden /> : <CircleAlert aria-hidden />}
      </div>
      <h2 className="text-lg font-semibold tracking-tight">{known?.title ?? "Something went wrong here"}</h2>
      <p className="mt-1 max-w-md text-pretty text-ink-2">{problem.message}</p>
      {known?.requestId && <RequestId id={known.requestId} className="mt-3" />}
      <Button className="mt-5" onClick={retry}>
        <RotateCw aria-hidden />
        Try again
      </Button>
    </div>
  );
}

function RequestId({ id, className }: { id: string; className?: string }) {
  return (
    <span className={classes("inline-flex items-center gap-1 text-xs text-ink-3", className)}>
      Request <code className="font-mono text-ink-2">{id}</code>
      <CopyButton text={id} label="Copy the request id" small />
    </span>
  );
}

/** A refused action, said beside the form that asked for it. */
export function Refusal({ problem, className }: { problem: Error; className?: string }) {
  const known = problem instanceof Problem ? problem : null;
  return (
    <div
      role="alert"
      data-testid="refusal"
      className={classes(
        "flex gap-2 rounded-lg border border-down/30 bg-down/7 px-3 py-2 text-sm",
        className,
      )}
    >
      <CircleAlert className="mt-0.5 size-4 shrink-0 text-down" aria-hidden />
      <div className="min-w-0">
        {known && known.title !== known.message && <p className="font-medium">{known.title}</p>}
        <p className="text-pretty break-words text-ink-2">{problem.message}</p>
        {known?.requestId && <RequestId id={known.requestId} className="mt-0.5" />}
      </div>
    </div>
  );
}
