/** The mark: two watchers, one thing watched. */
export function TwinMark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" className={className} aria-hidden="true">
      <path
        fill="var(--chart-1)"
        d="M12.5 6.5a9.5 9.5 0 1 0 0 19 9.46 9.46 0 0 0 3.5-.67 11.5 11.5 0 0 1 0-17.66 9.46 9.46 0 0 0-3.5-.67Z"
      />
      <path
        fill="var(--chart-2)"
        d="M19.5 6.5a9.5 9.5 0 1 1 0 19 9.46 9.46 0 0 1-3.5-.67 11.5 11.5 0 0 0 0-17.66 9.46 9.46 0 0 1 3.5-.67Z"
      />
      <circle fill="currentColor" cx="16" cy="16" r="2.6" />
    </svg>
  );
}

export function Wordmark({ className }: { className?: string }) {
  return (
    <span className={`flex items-center gap-2 ${className ?? ""}`}>
      <TwinMark className="size-[22px]" />
      <span className="text-[0.9375rem] font-semibold tracking-[-0.02em]">Twinwatch</span>
    </span>
  );
}
