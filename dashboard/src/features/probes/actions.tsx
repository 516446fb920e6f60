"use client";

import { CircleCheck, CircleX, Pause, Play, Radar } from "lucide-react";
import type { Probe, ProbeOutcome } from "@/lib/api";
import { useDeleteProbe, usePauseProbe, useTestProbe } from "@/lib/probes";
import { Button } from "@/ui/button";
import { Refusal } from "@/ui/faces";
import { ItemMenu } from "@/ui/item-menu";
import { MenuItem } from "@/ui/menu";
import { outcomeInWords } from "./order";

/** Test now, and what else can be done to a probe; what comes of it stands below. */
export function useProbeActions(probe: Probe, writes: boolean, onEdit: () => void, onGone?: () => void) {
  const test = useTestProbe();
  const pause = usePauseProbe();
  const remove = useDeleteProbe();
  const buttons = writes && (
    <div className="relative flex gap-2">
      <Button busy={test.isPending} onClick={() => test.mutate(probe.id)}>
        <Radar aria-hidden />
        Test now<span className="sr-only">: {probe.name}</span>
      </Button>
      <ItemMenu
        name={probe.name}
        kind="probe"
        onEdit={onEdit}
        lost="Its history goes with it, and its alerts end."
        remove={async () => {
          await remove.mutateAsync(probe.id);
          onGone?.();
        }}
      >
        <MenuItem onSelect={() => pause.mutate({ id: probe.id, paused: probe.enabled })}>
          {probe.enabled ? (
            <>
              <Pause aria-hidden /> Pause
            </>
          ) : (
            <>
              <Play aria-hidden /> Go on
            </>
          )}
        </MenuItem>
      </ItemMenu>
    </div>
  );
  const problem = test.error ?? pause.error;
  const outcome = (test.data || problem) && (
    <div className="mt-2">
      {test.data && <Outcome outcome={test.data} />}
      {problem && <Refusal problem={problem} />}
    </div>
  );
  return { buttons, outcome };
}

export function Outcome({ outcome }: { outcome: ProbeOutcome }) {
  const well = outcome.state === "up";
  return (
    <p
      role="status"
      className="flex items-start gap-1.5 text-sm"
      data-testid="probe-outcome"
      data-state={outcome.state}
    >
      {well ? (
        <CircleCheck className="mt-0.5 size-4 shrink-0 text-up" aria-hidden />
      ) : (
        <CircleX className="mt-0.5 size-4 shrink-0 text-down" aria-hidden />
      )}
      <span className="min-w-0 break-words">{outcomeInWords(outcome)}</span>
    </p>
  );
}
