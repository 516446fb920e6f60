"use client";

import { Tooltip as Radix } from "radix-ui";
import type { ReactNode } from "react";

export function TooltipProvider({ children }: { children: ReactNode }) {
  return <Radix.Provider delayDuration={350}>{children}</Radix.Provider>;
}

/** A hint for what has room for no words; the child must be focusable and have its own accessible name. */
export function Tooltip({
  hint,
  children,
  side = "bottom",
}: {
  hint: ReactNode;
  children: ReactNode;
  side?: "top" | "bottom";
}) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>{children}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          side={side}
          sideOffset={6}
          collisionPadding={8}
          className="z-50 max-w-72 animate-appear rounded-md bg-ink px-2 py-1 text-xs text-canvas shadow-float"
        >
          {hint}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
