/** What somebody else has done meanwhile to what a form changes. Nothing typed is lost; the person decides. */
"use client";

import { CircleOff, Users } from "lucide-react";
import type { ReactNode } from "react";
import { useNow } from "@/lib/clock";
import type { Fate } from "@/lib/fate";
import { ago } from "@/lib/units";
import { Button } from "./button";
import { Banner } from "./panel";

export const SECRETS_LOST = "Passwords and tokens went with it: enter them again.";

/** Says what became of it; nothing while it is as it was. `lost` says what of it was not in the form. */
export function FateOfDraft({
  fate,
  lost,
  ...about
}: { fate: Fate; lost?: string } & Parameters<typeof Changed>[0]) {
  if (fate === "kept") return null;
  return fate === "gone" ? <Gone what={about.what} lost={lost} /> : <Changed {...about} />;
}

export function Changed({
  what,
  by,
  at,
  onKeep,
  onReload,
  children,
}: {
  /** In a sentence: `rule`, `configuration`. */
  what: string;
  /** Who; empty or null: nobody knows. */
  by?: string | null;
  at?: number | null;
  onKeep: () => void;
  onReload: () => void;
  /** What it is now. */
  children?: ReactNode;
}) {
  const now = useNow(1000);
  return (
    <Banner
      tone="late"
      testId="changed"
      icon={<Users aria-hidden />}
      action={
        <span className="flex flex-wrap gap-2">
          <Button onClick={onReload}>Drop mine and reload</Button>
          <Button onClick={onKeep}>Keep mine on top of it</Button>
        </span>
      }
    >
      <strong className="font-medium">
        {by || "Somebody"} changed the {what} {at ? ago(at, now) : "meanwhile"}.
      </strong>{" "}
      <span className="text-ink-2">{children} What you typed is still here.</span>
    </Banner>
  );
}

function Gone({ what, lost }: { what: string; lost?: string | undefined }) {
  return (
    <Banner tone="late" testId="gone" icon={<CircleOff aria-hidden />}>
      <strong className="font-medium">Somebody deleted the {what} meanwhile.</strong>{" "}
      <span className="text-ink-2">What you typed is still here; it can be saved as a new one. {lost}</span>
    </Banner>
  );
}
