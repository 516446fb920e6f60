import type { Metadata } from "next";
import { Suspense } from "react";
import { SilencesView } from "@/features/silences/view";

export const metadata: Metadata = { title: "Silences" };

export default function SilencesPage() {
  return (
    <Suspense>
      <SilencesView />
    </Suspense>
  );
}
