/** The hub's time: the browser's own clock, corrected by what the hub said last. */
import { useSyncExternalStore } from "react";

let offset = 0;

/** Learns the difference from a `hub_time`; small ones are the network's, not the clock's. */
export function learnHubTime(hubTime: number): void {
  const difference = hubTime - Date.now();
  offset = Math.abs(difference) < 1500 ? 0 : difference;
}

export function hubNow(): number {
  return Date.now() + offset;
}

const beats = new Set<() => void>();
let second = 0;
let timer: ReturnType<typeof setInterval> | null = null;

function subscribe(beat: () => void): () => void {
  beats.add(beat);
  timer ??= setInterval(() => {
    second = Math.floor(hubNow() / 1000) * 1000;
    for (const each of beats) each();
  }, 1000);
  return () => {
    beats.delete(beat);
    if (beats.size === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
  };
}

/** The hub's time, in steps; the component renders again at each. */
export function useNow(stepMs = 1000): number {
  return useSyncExternalStore(
    subscribe,
    () => {
      if (timer === null || second === 0) second = Math.floor(hubNow() / 1000) * 1000;
      return Math.floor(second / stepMs) * stepMs;
    },
    () => 0,
  );
}
