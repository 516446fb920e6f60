import { ChevronRight } from "lucide-react";
import Link from "next/link";
import { Fragment } from "react";

export type Crumb = { label: string; href: string };

export const SERVERS: Crumb = { label: "Servers", href: "/" };

/** The way to this page, and its name. */
export function Breadcrumb({ way, here }: { way: Crumb[]; here: string }) {
  return (
    <nav aria-label="Breadcrumb" className="flex items-center gap-1 text-sm text-ink-3">
      {way.map(({ label, href }) => (
        <Fragment key={href}>
          <Link href={href} className="truncate rounded hover:text-ink">
            {label}
          </Link>
          <ChevronRight className="size-3.5 shrink-0" aria-hidden />
        </Fragment>
      ))}
      <span className="truncate text-ink-2" aria-current="page">
        {here}
      </span>
    </nav>
  );
}
