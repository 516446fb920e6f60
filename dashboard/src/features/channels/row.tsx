"use client";

import { CircleCheck, CircleX, KeyRound, Send } from "lucide-react";
import type { Channel } from "@/lib/api";
import { classes } from "@/lib/classes";
import { useDeleteChannel, useTestChannel } from "@/lib/telling";
import { counted, say } from "@/lib/units";
import { Button } from "@/ui/button";
import { Refusal } from "@/ui/faces";
import { ItemMenu } from "@/ui/item-menu";
import { Tag } from "@/ui/tag";
import { channelProof, type Proof, pathInWords, pathsInOrder, proofOf, reachInWords } from "./proof";

const PROOFS: Record<Proof, { word: string; tone: "up" | "late" | "down"; title: string }> = {
  proven: { word: "proven", tone: "up", title: "A message arrived within the last 30 days" },
  old: { word: "unproven for 30 days", tone: "late", title: "Test it: nothing has arrived for 30 days" },
  never: { word: "never proven", tone: "late", title: "Test it: no message has arrived yet" },
  failed: { word: "failed", tone: "down", title: "The last message did not arrive" },
};

export function ChannelRow({
  channel,
  title,
  now,
  rules,
  onEdit,
}: {
  channel: Channel;
  /** Of its kind. */
  title: string;
  now: number;
  rules: boolean;
  onEdit: () => void;
}) {
  const test = useTestChannel();
  const remove = useDeleteChannel();
  const proof = channelProof(channel, now);
  const reach = reachInWords(channel.settings);
  return (
    <li data-testid="channel" data-channel={channel.name} data-proof={proof} className="px-4 py-3">
      <div className="flex flex-wrap items-start gap-x-4 gap-y-2">
        <div className={classes("min-w-0 flex-1 basis-56", !channel.enabled && "opacity-65")}>
          <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
            <span className="font-medium wrap-anywhere">{channel.name}</span>
            <span className="text-sm text-ink-3">{title}</span>
            {channel.enabled ? (
              <Tag tone={PROOFS[proof].tone} title={PROOFS[proof].title} testId="proof">
                {PROOFS[proof].word}
              </Tag>
            ) : (
              <Tag>off</Tag>
            )}
            {channel.fallback && <Tag title="It gets what another channel refuses">fallback</Tag>}
            {channel.direct && <Tag title="Agents may speak on it themselves">agents too</Tag>}
          </p>
          {reach && <p className="text-sm wrap-anywhere text-ink-2">{reach}</p>}
          {channel.secrets_lost && (
            <p className="flex items-center gap-1.5 text-sm text-down">
              <KeyRound className="size-3.5 shrink-0" aria-hidden />
              The hub's own secret was changed: enter this channel's credentials again.
            </p>
          )}
        </div>
        <div className="flex gap-2">
          <Button busy={test.isPending} disabled={!channel.enabled} onClick={() => test.mutate(channel.id)}>
            <Send aria-hidden />
            Test<span className="sr-only"> {channel.name}</span>
          </Button>
          {rules && (
            <ItemMenu
              name={channel.name}
              kind="channel"
              onEdit={onEdit}
              lost="What waits for it is dropped, and policies that name it tell it no more."
              remove={() => remove.mutateAsync(channel.id)}
            />
          )}
        </div>
      </div>
      {test.data && (
        <p role="status" className="mt-1.5 flex items-start gap-1.5 text-sm" data-testid="test-outcome">
          {test.data.delivered ? (
            <>
              <CircleCheck className="mt-0.5 size-4 shrink-0 text-up" aria-hidden />
              The test arrived{test.data.seconds === null ? "" : ` after ${say("s", test.data.seconds)}`}.
            </>
          ) : (
            <>
              <CircleX className="mt-0.5 size-4 shrink-0 text-down" aria-hidden />
              <span className="min-w-0 break-words">The test did not arrive: {test.data.reason}</span>
            </>
          )}
        </p>
      )}
      {test.error && <Refusal problem={test.error} className="mt-2" />}
      <Paths channel={channel} now={now} />
    </li>
  );
}

/** Each way to the channel, and whether it works. */
function Paths({ channel, now }: { channel: Channel; now: number }) {
  const paths = pathsInOrder(channel.paths);
  if (paths.length === 0) return null;
  const lines = (
    <ul className="mt-1 flex flex-col gap-0.5 text-xs text-ink-2" data-testid="paths">
      {paths.map((path) => (
        <li key={path.server_id ?? "hub"} className="break-words">
          <span className={classes(proofOf(path, now) === "failed" && "text-down")}>
            <span className="font-medium">
              {path.server_id === null ? "From the hub" : `From ${path.server ?? "a server"}`}
            </span>
            : {pathInWords(path, now)}
          </span>
          {path.reason && path.outcome !== "delivered" && (
            <span className="block text-ink-3">{path.reason}</span>
          )}
        </li>
      ))}
    </ul>
  );
  if (paths.length < 4) return lines;
  return (
    <details className="mt-1">
      <summary className="cursor-pointer rounded text-xs text-ink-3 hover:text-ink">
        {counted(paths.length, "path")}
      </summary>
      {lines}
    </details>
  );
}
