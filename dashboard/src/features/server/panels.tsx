"use client";

import { CircleAlert, FileWarning, RotateCw } from "lucide-react";
import Link from "next/link";
import { Problem, type Server } from "@/lib/api";
import { useChecks, useConfiguration } from "@/lib/standing";
import { count } from "@/lib/units";
import { configurationPath } from "@/lib/url";
import { Skeleton } from "@/ui/faces";
import { Banner } from "@/ui/panel";
import { ChecksPanel } from "./checks";
import { DeliveryPanel } from "./delivery";
import { MonitorsPanel } from "./monitors";

/** How the server stands: problems of its configuration, checks, monitors, delivery. */
export function Standing({ server }: { server: Server }) {
  const query = useChecks(server.id);
  const stale = server.state === "down" || server.state === "late";
  return (
    <>
      <ConfigurationNotice server={server} />
      <div className="grid grid-flow-row-dense grid-cols-1 gap-3 lg:grid-cols-3">
        {query.data ? (
          <>
            <ChecksPanel checks={query.data.checks} stale={stale} />
            <MonitorsPanel monitors={query.data.monitors} />
          </>
        ) : query.error ? (
          <div className="lg:col-span-2">
            <Banner
              tone="down"
              icon={<CircleAlert aria-hidden />}
              testId="checks-error"
              action={
                <button
                  type="button"
                  onClick={() => void query.refetch()}
                  className="flex items-center gap-1 font-medium hover:underline"
                >
                  <RotateCw className="size-3.5" aria-hidden /> Try again
                </button>
              }
            >
              Checks and monitors could not be loaded. {query.error.message}
              {query.error instanceof Problem && query.error.requestId && (
                <>
                  {" "}
                  Request <code className="font-mono text-xs">{query.error.requestId}</code>
                </>
              )}
            </Banner>
          </div>
        ) : (
          <>
            <Skeleton className="h-12 rounded-xl" />
            <Skeleton className="h-12 rounded-xl" />
          </>
        )}
        <DeliveryPanel server={server} />
      </div>
    </>
  );
}

/** What is wrong with the configuration, where nobody can overlook it. */
function ConfigurationNotice({ server }: { server: Server }) {
  const { data } = useConfiguration(server.id);
  const problems = data?.standing?.problems ?? [];
  const refused = data?.standing ? data.standing.refused > data.standing.version : false;
  if (problems.length === 0 && !data?.secrets_lost) return null;
  return (
    <Banner
      tone="late"
      testId="configuration-problems"
      icon={<FileWarning aria-hidden />}
      action={
        <Link href={configurationPath(server.id)} className="font-medium underline-offset-4 hover:underline">
          To the configuration
        </Link>
      }
    >
      <strong className="font-medium">
        {data?.secrets_lost
          ? "Secret values of the configuration must be entered again."
          : refused
            ? `The agent could not take version ${count(data?.standing?.refused ?? 0)} of its configuration.`
            : "The agent found something wrong with its configuration."}
      </strong>
      {problems.slice(0, 3).map((problem) => (
        <span key={problem} className="block break-words text-ink-2">
          {problem}
        </span>
      ))}
      {problems.length > 3 && <span className="text-ink-3">and {count(problems.length - 3)} more</span>}
    </Banner>
  );
}
