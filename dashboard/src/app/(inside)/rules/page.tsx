import type { Metadata } from "next";
import { Suspense } from "react";
import { RulesView } from "@/features/rules/view";

export const metadata: Metadata = { title: "Rules" };

export default function RulesPage() {
  return (
    <Suspense>
      <RulesView />
    </Suspense>
  );
}
