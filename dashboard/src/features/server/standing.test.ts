import { expect, test } from "vitest";
import type { Check, Delivery, MonitorStanding } from "@/lib/api";
import {
  countsInWords,
  countsOf,
  deliveryInWords,
  failingFirst,
  monitorsInWords,
  picked,
  worstFirst,
} from "./standing";

const check = (name: string, state: Check["state"], since = 0, message = ""): Check => ({
  name,
  monitor: "systemd",
  state,
  reason: state === "up" ? "" : "failed",
  message,
  since,
});
const CHECKS = [
  check("systemd:b10", "up", 9),
  check("systemd:b2", "up", 1),
  check("systemd:old", "down", 5, "Exited with 1"),
  check("systemd:fresh", "down", 8),
  check("systemd:slow", "degraded"),
  check("systemd:dark", "unknown"),
];

test("what is down stands first, the newest of it on top; what is up by name", () => {
  expect(worstFirst(CHECKS).map(({ name }) => name.slice(8))).toEqual([
    "fresh",
    "old",
    "slow",
    "dark",
    "b2",
    "b10",
  ]);
});

test("checks are picked by state and by every word", () => {
  expect(picked(CHECKS, "", "down")).toHaveLength(2);
  expect(picked(CHECKS, "SYSTEMD exited", "all").map(({ name }) => name)).toEqual(["systemd:old"]);
});

test("counts are said worst first, and shortly where all is well", () => {
  expect(countsInWords(countsOf(CHECKS))).toBe("2 down, 1 degraded, 1 unknown, 2 up");
  expect(countsInWords({ up: 34, degraded: 0, down: 0, unknown: 0 })).toBe("34 checks, all up");
  expect(countsInWords({ up: 1, degraded: 0, down: 0, unknown: 0 })).toBe("1 check, up");
  expect(countsInWords(countsOf([]))).toBe("none yet");
});

test("monitors that fail stand first", () => {
  const monitor = (name: string, state: MonitorStanding["state"]): MonitorStanding => ({
    name,
    type: name,
    origin: "file",
    state,
    reason: "",
    interval_seconds: 15,
    since: 0,
  });
  const all = [monitor("a", "ok"), monitor("b", "absent"), monitor("c", "failing"), monitor("d", "new")];
  expect(failingFirst(all).map(({ name }) => name)).toEqual(["c", "b", "d", "a"]);
  expect(monitorsInWords(all)).toBe("1 fails, 1 works, 1 starting, 1 with nothing to watch");
  expect(monitorsInWords(all.slice(0, 1))).toBe("1 monitor, works");
});

test("what became of the ticks is said in plain words", () => {
  const now = 10_000_000;
  const facts = (pending: number, ageMs: number | null, dropped = 0): Delivery => ({
    collected: 5000,
    delivered: 5000 - pending - dropped,
    pending,
    dropped,
    buffer_bytes: 4096,
    oldest_pending: ageMs === null ? null : now - ageMs,
    at: now,
  });
  expect(deliveryInWords(facts(0, null), now)).toBe("all delivered");
  expect(deliveryInWords(facts(3, 20_000), now)).toBe("all delivered");
  expect(deliveryInWords(facts(1240, 720_000), now)).toBe("1,240 ticks wait, oldest 12 min");
  expect(deliveryInWords(facts(1, 720_000, 30), now)).toBe("1 tick waits, oldest 12 min; 30 lost");
  expect(deliveryInWords(facts(0, null, 30), now)).toBe("all others delivered, 30 lost");
  expect(deliveryInWords(null, now)).toBe("not told by this agent");
});
