/** The frame of the pages about alerts: one heading, and the way to the others. */
"use client";

import Link from "next/link";
import { usePathname } from "next/navigation";
import { type ReactNode, useEffect, useRef } from "react";
import { classes } from "@/lib/classes";
import { useOrganization } from "@/lib/organization";
import { organizationFields, writeState } from "@/lib/url";
import { Choice } from "./inputs";

const PLACES = [
  { href: "/alerts/", label: "Open" },
  { href: "/alerts/history/", label: "History" },
  { href: "/silences/", label: "Silences" },
  { href: "/rules/", label: "Rules" },
  { href: "/policies/", label: "Policies" },
  { href: "/channels/", label: "Channels" },
];

export function Section({
  title,
  lead,
  action,
  organization = false,
  children,
}: {
  title: string;
  lead?: ReactNode;
  action?: ReactNode;
  /** Whether the page is about one organization: then it can be chosen, where there are several. */
  organization?: boolean;
  children: ReactNode;
}) {
  const path = usePathname();
  const at = path.endsWith("/") ? path : `${path}/`;
  const { all, organization: chosen, choose } = useOrganization();
  const query = writeState(organizationFields, new URLSearchParams(), {
    organization: chosen && chosen.id !== all[0]?.id ? chosen.id : "",
  });
  // On a phone not all of them are seen: the one that is open is.
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    const here = bar.current?.querySelector<HTMLElement>('[aria-current="page"]');
    if (bar.current && here)
      bar.current.scrollLeft = here.offsetLeft - (bar.current.clientWidth - here.clientWidth) / 2;
  }, []);
  return (
    <div className="mx-auto flex max-w-5xl flex-col gap-4">
      <nav
        ref={bar}
        aria-label="Alerting"
        className="relative -mx-4 flex gap-0.5 overflow-x-auto border-b border-line px-4 [scrollbar-width:none] sm:mx-0 sm:px-0"
      >
        {PLACES.map((place) => (
          <Link
            key={place.href}
            href={place.href + query}
            aria-current={place.href === at ? "page" : undefined}
            className={classes(
              "-mb-px shrink-0 border-b-2 px-2.5 py-2 text-sm font-medium transition-colors focus-visible:-outline-offset-2",
              place.href === at
                ? "border-accent text-ink"
                : "border-transparent text-ink-2 hover:border-line-strong hover:text-ink",
            )}
          >
            {place.label}
          </Link>
        ))}
      </nav>
      <div className="flex flex-wrap items-end justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
          {lead && <p className="text-sm text-pretty text-ink-2">{lead}</p>}
        </div>
        <div className="flex flex-wrap items-center gap-2">
          {organization && all.length > 1 && chosen && (
            <Choice
              label="Organization"
              bare
              value={chosen.id}
              onChange={choose}
              options={all.map(({ id, name }) => ({ value: id, label: name }))}
            />
          )}
          {action}
        </div>
      </div>
      {children}
    </div>
  );
}
