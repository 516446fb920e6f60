import { ChevronRight } from "lucide-react";
import Link from "next/link";
import type { Server } from "@/lib/api";
import { serverPath } from "@/lib/url";

/** The way from all servers to this page. */
export function Breadcrumb({ server, here }: { server: Server; here?: string }) {
  return (
    <nav aria-label="Breadcrumb" className="flex items-center gap-1 text-sm text-ink-3">
      <Link href="/" className="rounded hover:text-ink">
        Servers
      </Link>
      <ChevronRight className="size-3.5 shrink-0" aria-hidden />
      {here ? (
        <>
          <Link href={serverPath(server.id)} className="truncate rounded hover:text-ink">
            {server.name}
          </Link>
          <ChevronRight className="size-3.5 shrink-0" aria-hidden />
          <span className="text-ink-2" aria-current="page">
            {here}
          </span>
        </>
      ) : (
        <span className="truncate text-ink-2" aria-current="page">
          {server.name}
        </span>
      )}
    </nav>
  );
}
