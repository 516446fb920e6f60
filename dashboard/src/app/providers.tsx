"use client";

import { QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { makeQueryClient } from "@/lib/data";
import { useDepartures } from "@/lib/session";
import { TooltipProvider } from "@/ui/tooltip";

/** The next person at this screen starts with nothing of the last one's. */
export function Providers({ children }: { children: ReactNode }) {
  return <Fresh key={useDepartures()}>{children}</Fresh>;
}

function Fresh({ children }: { children: ReactNode }) {
  const [client] = useState(makeQueryClient);
  return (
    <QueryClientProvider client={client}>
      <TooltipProvider>{children}</TooltipProvider>
    </QueryClientProvider>
  );
}
