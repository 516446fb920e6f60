import type { Metadata } from "next";
import { Suspense } from "react";
import { ProbeView } from "@/features/probes/one";

export const metadata: Metadata = { title: "Probe" };

export default function ProbePage() {
  return (
    <Suspense>
      <ProbeView />
    </Suspense>
  );
}
