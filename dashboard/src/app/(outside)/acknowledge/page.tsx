import type { Metadata } from "next";
import { Suspense } from "react";
import { AcknowledgeView } from "@/features/acknowledge/view";

export const metadata: Metadata = { title: "Acknowledge an alert" };

export default function AcknowledgePage() {
  return (
    <Suspense>
      <AcknowledgeView />
    </Suspense>
  );
}
