"use client";

import { Link2Off, UserCheck } from "lucide-react";
import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { useAcknowledgeByLink, useLinkedAlert } from "@/lib/alerts";
import { Problem } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { ago, moment } from "@/lib/units";
import { Button } from "@/ui/button";
import { ErrorFace, Loading, Refusal, Skeleton } from "@/ui/faces";
import { Field } from "@/ui/field";
import { AlertStateBadge, SeverityBadge } from "@/ui/severity";
import { TwinMark } from "@/ui/twin-mark";

/** Where a link in a message leads, for whoever holds it. Opening it changes nothing: programs open links too. */
export function AcknowledgeView() {
  const search = useSearchParams();
  const key = search.get("key") ?? "";
  const token = search.get("token") ?? "";
  const query = useLinkedAlert(key, token);
  const unlawful =
    key === "" || token === "" || (query.error instanceof Problem && [404, 422].includes(query.error.status));
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <div className="w-full max-w-md">
        <div className="mb-5 flex justify-center">
          <TwinMark className="size-10" />
        </div>
        <div className="rounded-xl border border-line bg-surface p-5 shadow-float">
          {unlawful ? (
            <Unlawful />
          ) : query.data ? (
            <Known keyName={key} token={token} linked={query.data} />
          ) : query.error ? (
            <ErrorFace problem={query.error} retry={() => void query.refetch()} className="py-4" />
          ) : (
            <Loading what="the alert" className="flex flex-col gap-3">
              <Skeleton className="h-6 w-3/4" />
              <Skeleton className="h-4" />
              <Skeleton className="h-10" />
            </Loading>
          )}
        </div>
        <p className="mt-4 text-center text-xs text-ink-3">
          <Link href="/alerts/" className="underline underline-offset-4 hover:text-ink">
            Sign in to see all alerts
          </Link>
        </p>
      </div>
    </main>
  );
}

function Unlawful() {
  return (
    <div className="flex flex-col items-center gap-2 py-4 text-center" data-testid="unlawful">
      <Link2Off className="size-6 text-ink-3" aria-hidden />
      <h1 className="text-lg font-semibold tracking-tight">This link leads to no alert</h1>
      <p className="text-pretty text-ink-2">
        It may have been cut in two by a mail program, or its alert was resolved more than 90 days ago.
      </p>
    </div>
  );
}

function Known({
  keyName,
  token,
  linked,
}: {
  keyName: string;
  token: string;
  linked: NonNullable<ReturnType<typeof useLinkedAlert>["data"]>;
}) {
  const now = useNow(1000);
  const acknowledge = useAcknowledgeByLink(keyName, token);
  return (
    <div className="flex flex-col gap-3" data-testid="linked" data-state={linked.state}>
      <div className="flex flex-wrap items-center gap-2">
        <SeverityBadge severity={linked.severity} />
        <AlertStateBadge state={linked.state} />
      </div>
      <div>
        <h1 className="text-lg font-semibold tracking-tight wrap-anywhere">{linked.title}</h1>
        <p className="text-sm wrap-anywhere text-ink-2">
          {linked.subject}, since <span title={moment(linked.true_at)}>{ago(linked.true_at, now)}</span>
        </p>
      </div>
      {linked.message && linked.message !== linked.title && (
        <p className="text-pretty break-words whitespace-pre-line">{linked.message}</p>
      )}
      {linked.state === "firing" ? (
        <form
          className="flex flex-col gap-3 border-t border-line pt-4"
          onSubmit={(event) => {
            event.preventDefault();
            acknowledge.mutate(String(new FormData(event.currentTarget).get("name")).trim());
          }}
        >
          <Field
            label="Your name (optional)"
            name="name"
            maxLength={100}
            autoComplete="name"
            hint="So that the others know who sees to it."
          />
          {acknowledge.error && <Refusal problem={acknowledge.error} />}
          <Button type="submit" kind="primary" size="lg" busy={acknowledge.isPending}>
            <UserCheck aria-hidden />
            Acknowledge: I see to it
          </Button>
          <p className="text-xs text-pretty text-ink-3">
            Nobody further is told then, and nothing is repeated. Nothing happens unless you press the button.
          </p>
        </form>
      ) : (
        <p role="status" className="border-t border-line pt-4 text-pretty" data-testid="linked-done">
          {linked.state === "acknowledged"
            ? `${linked.acknowledged_by} sees to it.`
            : "It is over; there is nothing left to do."}
        </p>
      )}
    </div>
  );
}
