import type { Metadata } from "next";
import { Suspense } from "react";
import { OpenAlertsView } from "@/features/alerts/open";

export const metadata: Metadata = { title: "Alerts" };

export default function AlertsPage() {
  return (
    <Suspense>
      <OpenAlertsView />
    </Suspense>
  );
}
