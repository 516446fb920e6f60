import { Cloud, FileText, Sparkle } from "lucide-react";
import type { MonitorStanding } from "@/lib/api";

export const ORIGINS: Record<
  MonitorStanding["origin"],
  { word: string; meaning: string; icon: typeof Cloud }
> = {
  file: { word: "file", meaning: "Set in the file on the server", icon: FileText },
  hub: { word: "hub", meaning: "Set here, on the hub", icon: Cloud },
  default: { word: "default", meaning: "Runs by itself; nobody has set it", icon: Sparkle },
};

/** Where a monitor comes from. */
export function OriginTag({ origin }: { origin: MonitorStanding["origin"] }) {
  const { word, meaning, icon: Icon } = ORIGINS[origin];
  return (
    <span
      title={meaning}
      data-origin={origin}
      className="inline-flex items-center gap-1 rounded bg-ink/6 px-1.5 text-2xs leading-4 text-ink-2"
    >
      <Icon aria-hidden className="size-3" />
      {word}
    </span>
  );
}
