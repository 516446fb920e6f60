import type { Metadata } from "next";
import { Suspense } from "react";
import { AlertView } from "@/features/alert/view";

export const metadata: Metadata = { title: "Alert" };

export default function AlertPage() {
  return (
    <Suspense>
      <AlertView />
    </Suspense>
  );
}
