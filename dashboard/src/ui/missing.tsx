/** The page of a thing that is not there. */
"use client";

import { ArrowLeft, CircleOff } from "lucide-react";
import Link from "next/link";
import type { ReactNode } from "react";
import { Problem } from "@/lib/api";
import type { Crumb } from "./breadcrumb";
import { Button } from "./button";
import { EmptyFace } from "./faces";
import { Panel } from "./panel";

/** Whether the address names nothing: it has no id, or one that the hub does not know. */
export function isMissing(id: string, error: Error | null): boolean {
  return id === "" || (error instanceof Problem && (error.status === 404 || error.status === 422));
}

export function Missing({
  what,
  back,
  children,
}: {
  /** In a sentence: `server`, `probe`. */
  what: string;
  /** Where all of its kind are; the label after "To". */
  back: Crumb;
  /** What may have become of it. */
  children: ReactNode;
}) {
  return (
    <Panel>
      <EmptyFace
        icon={<CircleOff aria-hidden />}
        title={`There is no such ${what}`}
        className="py-20"
        action={
          <Button asChild kind="primary">
            <Link href={back.href}>
              <ArrowLeft aria-hidden />
              To {back.label}
            </Link>
          </Button>
        }
      >
        {children}
      </EmptyFace>
    </Panel>
  );
}
