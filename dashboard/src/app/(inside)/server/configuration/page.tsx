import type { Metadata } from "next";
import { Suspense } from "react";
import { ConfigurationView } from "@/features/configuration/view";

export const metadata: Metadata = { title: "Configuration" };

export default function ConfigurationPage() {
  return (
    <Suspense>
      <ConfigurationView />
    </Suspense>
  );
}
