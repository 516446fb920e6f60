"use client";

import { Dialog as Radix } from "radix-ui";
import { type ReactNode, useState } from "react";
import { Problem } from "@/lib/api";
import { Button } from "./button";
import { Refusal } from "./faces";

export function Dialog({
  open,
  onClose,
  title,
  description,
  children,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
}) {
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/35 backdrop-blur-[2px] dark:bg-black/60" />
        <Radix.Content
          className="fixed top-[max(1rem,18vh)] left-1/2 z-50 max-h-[calc(100dvh-2rem)] w-[min(26rem,calc(100vw-2rem))] -translate-x-1/2 animate-appear overflow-y-auto rounded-xl border border-line bg-raised p-5 shadow-float"
          {...(description ? {} : { "aria-describedby": undefined })}
        >
          <Radix.Title className="text-lg font-semibold tracking-tight">{title}</Radix.Title>
          {description && <Radix.Description className="mt-1 text-ink-2">{description}</Radix.Description>}
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

/** Asks before something that cannot be undone; stays open with the reason when it was refused. */
export function Confirm({
  open,
  onClose,
  title,
  description,
  action,
  run,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  description: ReactNode;
  action: string;
  run: () => Promise<unknown>;
}) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Error | null>(null);
  const close = () => {
    setProblem(null);
    onClose();
  };
  return (
    <Dialog open={open} onClose={close} title={title} description={description}>
      <form
        onSubmit={async (event) => {
          event.preventDefault();
          setBusy(true);
          setProblem(null);
          try {
            await run();
            onClose();
          } catch (error) {
            setProblem(error instanceof Problem ? error : new Error(String(error)));
          } finally {
            setBusy(false);
          }
        }}
      >
        {problem && <Refusal problem={problem} className="mt-4" />}
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={close}>Cancel</Button>
          <Button type="submit" kind="danger" busy={busy}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
