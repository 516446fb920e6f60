import type { ReactNode } from "react";
import { TwinMark } from "@/ui/twin-mark";

/** A page for somebody who is not signed in yet: one card, nothing else to do. */
export function Frame({
  title,
  lead,
  children,
  foot,
}: {
  title: string;
  lead: ReactNode;
  children: ReactNode;
  foot?: ReactNode;
}) {
  return (
    <main className="relative grid min-h-dvh place-items-center overflow-hidden px-4 py-10">
      <Orbits />
      <div className="relative w-full max-w-[23rem]">
        <div className="mb-6 flex flex-col items-center text-center">
          <TwinMark className="mb-4 size-11" />
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
          <div className="mt-1 text-pretty text-ink-2">{lead}</div>
        </div>
        <div className="rounded-xl border border-line bg-surface p-5 shadow-float">{children}</div>
        {foot && <div className="mt-5 text-center text-xs text-ink-3">{foot}</div>}
      </div>
    </main>
  );
}

/** Shown for as long as it is not known which page this is. */
export function Pause() {
  return (
    <div role="status" aria-label="Loading" className="grid min-h-dvh place-items-center">
      <TwinMark className="size-9 animate-breathe" />
    </div>
  );
}

/** The mark's two circles, very large and faint. */
function Orbits() {
  return (
    <svg
      aria-hidden="true"
      viewBox="0 0 1200 800"
      preserveAspectRatio="xMidYMid slice"
      className="absolute inset-0 size-full text-ink opacity-[0.07] dark:opacity-[0.09]"
      fill="none"
      stroke="currentColor"
    >
      {[180, 260, 340, 420, 500].map((r) => (
        <g key={r}>
          <circle cx="470" cy="400" r={r} />
          <circle cx="730" cy="400" r={r} />
        </g>
      ))}
    </svg>
  );
}
