"use client";

import { KeyRound } from "lucide-react";
import Link from "next/link";
import { useRouter, useSearchParams } from "next/navigation";
import { useState } from "react";
import { Problem } from "@/lib/api";
import { useSetup, useStatus } from "@/lib/data";
import { signIn } from "@/lib/session";
import { Button } from "@/ui/button";
import { Refusal } from "@/ui/faces";
import { Field } from "@/ui/field";
import { Frame } from "./frame";

const SHORTEST = 10;

export function SetupView() {
  const router = useRouter();
  const token = useSearchParams().get("token") ?? "";
  const status = useStatus();
  const setup = useSetup();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Error | null>(null);
  const [short, setShort] = useState(false);

  const done = problem instanceof Problem && problem.slug === "setup-done";
  if (!busy && (status.data?.needs_setup === false || done))
    return (
      <Frame title="Already set up" lead="This hub has its owner. Sign in to see your servers.">
        <Button asChild kind="primary" size="lg" className="w-full">
          <Link href="/sign-in/">Go to sign in</Link>
        </Button>
      </Frame>
    );

  if (token === "")
    return (
      <Frame title="The link is incomplete" lead="A set-up link carries a token, and this one has none.">
        <p className="flex gap-2.5 text-pretty text-ink-2">
          <KeyRound className="mt-0.5 size-4 shrink-0 text-ink-3" aria-hidden />
          <span>
            Copy the whole address that <code className="font-mono text-xs text-ink">twinwatch up</code>{" "}
            printed, from <code className="font-mono text-xs text-ink">http</code> to its last character, and
            open it here.
          </span>
        </p>
      </Frame>
    );

  return (
    <Frame
      title="Welcome to Twinwatch"
      lead="You are the first one here: make yourself the owner."
      foot={status.data ? `Twinwatch ${status.data.version}` : null}
    >
      <form
        aria-label="Set up"
        className="flex flex-col gap-4"
        onSubmit={async (event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          const email = String(form.get("email")).trim();
          const password = String(form.get("password"));
          setProblem(null);
          setShort(password.length < SHORTEST);
          if (password.length < SHORTEST) return;
          setBusy(true);
          try {
            await setup.mutateAsync({
              token,
              email,
              password,
              organization: String(form.get("organization")).trim(),
            });
            const error = await signIn(email, password);
            // The owner exists either way; signing in by hand is the only thing left.
            router.replace(error ? "/sign-in/" : "/");
          } catch (refused) {
            setProblem(refused instanceof Error ? refused : new Error(String(refused)));
            setBusy(false);
          }
        }}
      >
        <Field
          label="Organization"
          name="organization"
          autoComplete="organization"
          required
          autoFocus
          maxLength={100}
          placeholder="Acme"
          hint="The name your servers and colleagues are gathered under."
        />
        <Field
          label="E-mail"
          name="email"
          type="email"
          autoComplete="username"
          required
          placeholder="you@acme.example"
        />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="new-password"
          required
          fault={short ? `Use at least ${SHORTEST} characters.` : null}
          hint={`At least ${SHORTEST} characters.`}
          onChange={() => setShort(false)}
        />
        {problem && !done && <Refusal problem={problem} />}
        <Button type="submit" kind="primary" size="lg" busy={busy}>
          Create the owner
        </Button>
      </form>
    </Frame>
  );
}
