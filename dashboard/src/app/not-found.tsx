import Link from "next/link";
import { TwinMark } from "@/ui/twin-mark";

export default function NotFound() {
  return (
    <main className="grid min-h-dvh place-items-center p-6">
      <div className="flex max-w-sm flex-col items-center gap-3 text-center">
        <TwinMark className="size-10" />
        <h1 className="text-xl font-semibold tracking-tight">Nothing is watched here</h1>
        <p className="text-ink-2">
          This address leads nowhere. It may have been mistyped, or the page has moved.
        </p>
        <Link href="/" className="mt-2 font-medium text-accent-ink underline underline-offset-4">
          To your servers
        </Link>
      </div>
    </main>
  );
}
