"use client";

import { Terminal } from "lucide-react";
import { useRouter, useSearchParams } from "next/navigation";
import { useEffect, useState } from "react";
import { Problem } from "@/lib/api";
import { useStatus } from "@/lib/data";
import { signIn, usePresence } from "@/lib/session";
import { safeNext } from "@/lib/url";
import { Button } from "@/ui/button";
import { Command } from "@/ui/copy";
import { Refusal } from "@/ui/faces";
import { Field } from "@/ui/field";
import { Frame, Pause } from "./frame";

/** What the hub's refusal means to the person at the form. */
function reason(error: {
  status?: number | undefined;
  message: string;
  code?: string | undefined;
  name: string;
}): Problem {
  const status = error.status ?? 0;
  if (status === 400 || status === 401 || error.code === "invalid_credentials")
    return new Problem({
      slug: "credentials",
      status,
      title: "That did not match",
      detail: "No account has this e-mail and password together. Check both and try again.",
    });
  if (status === 429)
    return new Problem({
      slug: "rate-limited",
      status,
      title: "Too many attempts",
      detail: "Wait a minute before you try again.",
    });
  if (status === 0 || error.name === "AuthRetryableFetchError")
    return new Problem({
      slug: "unreachable",
      status: 0,
      title: "The hub does not answer",
      detail: "Check that it is running and that this device is online, then try again.",
    });
  return new Problem({ slug: "unknown", status, title: "You were not signed in", detail: error.message });
}

export function SignInView() {
  const presence = usePresence();
  const router = useRouter();
  const next = safeNext(useSearchParams().get("next"));
  const status = useStatus();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  useEffect(() => {
    if (presence.status === "in") router.replace(next);
  }, [presence.status, next, router]);

  // Which of the two pages this is, is known in a moment; neither should flash by.
  if (status.isPending && status.failureCount === 0) return <Pause />;
  if (status.data?.needs_setup) return <NeedsSetup version={status.data.version} />;
  return (
    <Frame
      title="Sign in to Twinwatch"
      lead="Two watchers for every server."
      foot={status.data ? `Twinwatch ${status.data.version}` : null}
    >
      <form
        aria-label="Sign in"
        className="flex flex-col gap-4"
        onSubmit={async (event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          setBusy(true);
          setProblem(null);
          const error = await signIn(String(form.get("email")).trim(), String(form.get("password")));
          setBusy(false);
          if (error) setProblem(reason(error));
        }}
      >
        <Field label="E-mail" name="email" type="email" autoComplete="username" required autoFocus />
        <Field label="Password" name="password" type="password" autoComplete="current-password" required />
        {problem && <Refusal problem={problem} />}
        {status.error && !problem && <Refusal problem={status.error} />}
        <Button type="submit" kind="primary" size="lg" busy={busy || presence.status === "in"}>
          Sign in
        </Button>
      </form>
    </Frame>
  );
}

function NeedsSetup({ version }: { version: string }) {
  return (
    <Frame
      title="Almost there"
      lead="This hub is running, but it has no owner yet."
      foot={`Twinwatch ${version}`}
    >
      <div className="flex flex-col gap-3" data-testid="needs-setup">
        <p className="flex gap-2.5 text-pretty text-ink-2">
          <Terminal className="mt-0.5 size-4 shrink-0 text-ink-3" aria-hidden />
          <span>
            Open the <strong className="font-medium text-ink">set-up link</strong> that{" "}
            <code className="font-mono text-xs text-ink">twinwatch up</code> printed in the terminal. It looks
            like this:
          </span>
        </p>
        <pre className="overflow-x-auto rounded-lg border border-line bg-sunken px-3 py-2 font-mono text-xs text-ink-2">
          /setup/?token=…
        </pre>
        <p className="text-sm text-ink-3">
          The link works once and only until an owner exists, so that nobody else can claim your hub. Closed
          the terminal? Start it again and it prints a new link:
        </p>
        <Command command="twinwatch up" label="Copy the command" />
      </div>
    </Frame>
  );
}
