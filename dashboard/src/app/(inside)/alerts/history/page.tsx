import type { Metadata } from "next";
import { Suspense } from "react";
import { HistoryView } from "@/features/alerts/history";

export const metadata: Metadata = { title: "History of alerts" };

export default function HistoryPage() {
  return (
    <Suspense>
      <HistoryView />
    </Suspense>
  );
}
