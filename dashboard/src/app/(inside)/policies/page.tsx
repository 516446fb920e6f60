import type { Metadata } from "next";
import { Suspense } from "react";
import { PoliciesView } from "@/features/policies/view";

export const metadata: Metadata = { title: "Policies" };

export default function PoliciesPage() {
  return (
    <Suspense>
      <PoliciesView />
    </Suspense>
  );
}
