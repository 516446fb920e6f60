"use client";

import { CircleCheck, CloudUpload, TriangleAlert } from "lucide-react";
import { useState } from "react";
import type { Server } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { ago, count, moment, say } from "@/lib/units";
import { Disclosure } from "@/ui/disclosure";
import { deliveryInWords, isBehind } from "./standing";

/** What became of the figures that the agent collected. */
export function DeliveryPanel({ server }: { server: Server }) {
  const [open, setOpen] = useState(false);
  const now = useNow(1000);
  const { delivery } = server;
  const behind = delivery !== null && isBehind(delivery, now);
  const Icon = delivery === null ? CloudUpload : behind || delivery.dropped > 0 ? TriangleAlert : CircleCheck;
  const tone = delivery === null ? "text-ink-3" : Icon === TriangleAlert ? "text-late" : "text-up";
  const facts: { title: string; text: string; help: string }[] = delivery
    ? [
        {
          title: "Collected",
          text: count(delivery.collected),
          help: "Ticks since the agent's buffer was made. A tick is one run of one monitor.",
        },
        { title: "Delivered", text: count(delivery.delivered), help: "The hub has them for good." },
        { title: "Waiting", text: count(delivery.pending), help: "In the agent's buffer, sent next." },
        {
          title: "Lost",
          text: count(delivery.dropped),
          help: "By age, by the buffer's size, by a full disk, or refused by the hub.",
        },
        {
          title: "Oldest waiting",
          text: delivery.oldest_pending === null ? "none" : ago(delivery.oldest_pending, now),
          help:
            delivery.oldest_pending === null
              ? "Nothing waits."
              : `Collected ${moment(delivery.oldest_pending)}.`,
        },
        {
          title: "Buffer",
          text: say("By", delivery.buffer_bytes),
          help: "On the server's disk, at most 24 hours.",
        },
        {
          title: "Control connection",
          text: server.control ? "open" : "closed",
          help: server.control
            ? "Changes reach the agent within a second."
            : "Changes reach the agent with its next heartbeat.",
        },
        { title: "Told", text: ago(delivery.at, now), help: `By the heartbeat of ${moment(delivery.at)}.` },
      ]
    : [];
  return (
    <Disclosure
      title="Delivery"
      testId="delivery"
      open={open && delivery !== null}
      onToggle={setOpen}
      summary={
        <span className="flex items-center gap-1.5">
          <Icon aria-hidden className={`size-4 shrink-0 ${tone}`} strokeWidth={2.25} />
          <span data-testid="delivery-summary">{deliveryInWords(delivery, now)}</span>
          {delivery !== null && (server.state === "down" || server.state === "late") && (
            <span className="text-ink-3">as last told</span>
          )}
        </span>
      }
    >
      <dl className="grid grid-cols-2 gap-x-6 gap-y-3 px-4 py-3 sm:grid-cols-4">
        {facts.map(({ title, text, help }) => (
          <div key={title}>
            <dt className="text-xs text-ink-3">{title}</dt>
            <dd className="font-medium" data-fact={title}>
              {text}
            </dd>
            <dd className="text-2xs text-pretty text-ink-3">{help}</dd>
          </div>
        ))}
      </dl>
    </Disclosure>
  );
}
