import type { ReactNode } from "react";
import { Shell } from "@/features/shell/view";

export default function InsideLayout({ children }: { children: ReactNode }) {
  return <Shell>{children}</Shell>;
}
