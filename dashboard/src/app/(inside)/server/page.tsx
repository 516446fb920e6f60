import type { Metadata } from "next";
import { Suspense } from "react";
import { ServerView } from "@/features/server/view";

export const metadata: Metadata = { title: "Server" };

export default function ServerPage() {
  return (
    <Suspense>
      <ServerView />
    </Suspense>
  );
}
