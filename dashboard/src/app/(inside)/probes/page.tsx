import type { Metadata } from "next";
import { Suspense } from "react";
import { ProbesView } from "@/features/probes/view";

export const metadata: Metadata = { title: "Probes" };

export default function ProbesPage() {
  return (
    <Suspense>
      <ProbesView />
    </Suspense>
  );
}
