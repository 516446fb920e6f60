import { expect, test } from "vitest";
import { alertOf } from "@/lib/alerts.example";
import type { Alert, AlertDetail, Notification, TimelineEvent } from "@/lib/api";
import { fareOf, storyOf, toldAfter } from "./story";

const note = (given: Partial<Notification>): Notification => ({
  id: "n",
  channel_id: "mail",
  channel: "Ops",
  kind: "email",
  occasion: "firing",
  teller: "hub",
  state: "delivered",
  due_at: 0,
  done_at: null,
  reason: "",
  attempts: [],
  ...given,
});

let id = 0;
const event = (kind: string, at: number, given: Partial<TimelineEvent> = {}): TimelineEvent => {
  id += 1;
  return { id, at, kind, actor: "hub", text: "", detail: {}, ...given };
};

const detail = (alert: Partial<Alert>, timeline: TimelineEvent[]): AlertDetail => ({
  alert: alertOf(alert),
  definition: null,
  evidence: {},
  evidence_at: null,
  policy: "Critical",
  next_step_at: null,
  timeline,
  notifications: [note({})],
});

test("the story begins when it became true and says who told whom, who took it on and how it ended", () => {
  const told = { channel: "mail", occasion: "firing" };
  const found = storyOf(
    detail({ resolved_at: 1_060_000, state: "resolved", value: 0.93, unit: "1" }, [
      event("fired", 1_001_500, { actor: "agent" }),
      event("told", 1_002_000, { actor: "agent", detail: told }),
      event("refused", 1_003_000, { text: "No such user.", detail: told }),
      event("acknowledged", 1_010_000, { actor: "ann@example.org", text: "On it." }),
      event("comment", 1_020_000, { actor: "bob@example.org", text: "Disk is fine." }),
      event("resolved", 1_062_000, { detail: { why: "recovered", cause: "planned reboot" } }),
    ]),
  );
  expect(found.map(({ what, text }) => [what, text])).toEqual([
    ["It became true", ""],
    ["Detected by the agent", "Value 93.0%."],
    ["Ops was told by the agent: it fires", ""],
    ["Ops could not be told by the hub", "No such user."],
    ["Acknowledged by ann@example.org", "On it."],
    ["bob@example.org wrote", "Disk is fine."],
    ["It is well again", "Cause: planned reboot."],
  ]);
  expect(found.map(({ at }) => at).slice(0, 2)).toEqual([1_000_000, 1_001_000]);
  expect(found.at(-1)?.at).toBe(1_060_000);
});

test("what the hub heard late, a channel of a file, a silence and an end by hand are said as such", () => {
  const found = storyOf(
    detail({ received_at: 1_601_000 }, [
      event("fired", 1_601_000, { actor: "agent" }),
      event("told", 1_602_000, { actor: "agent", detail: { channel: "file:pager", occasion: "worse" } }),
      event("told", 1_603_000, { detail: { channel: "removed", occasion: "repeat" } }),
      event("silenced", 1_604_000, { detail: { until: 0 } }),
      event("unsilenced", 1_604_500),
      event("resolved", 1_605_000, { actor: "ann@example.org", text: "Known.", detail: { why: "closed" } }),
      event("something new", 1_606_000),
    ]),
  );
  expect(found.map(({ what, text }) => [what, text])).toEqual([
    ["It became true", ""],
    ["Detected by the agent", "The hub heard of it 10 min later."],
    ["pager (of the agent's file) was told by the agent: it is worse", ""],
    ["A channel that is gone was told by the hub: it is still open", ""],
    ["Silenced until somebody ends it", ""],
    ["The silence was ended", ""],
    ["Closed by ann@example.org", "Known."],
    ["something new", ""],
  ]);
});

test("how a message fares", () => {
  const attempt = { at: 1, outcome: "retry" as const, reason: "503", seconds: 0.1 };
  expect(fareOf(note({}), 5).word).toBe("delivered");
  expect(fareOf(note({ state: "waiting", due_at: 9 }), 5).word).toBe("held back");
  expect(fareOf(note({ state: "waiting", due_at: 9, attempts: [attempt] }), 5).word).toBe("is tried again");
  expect(fareOf(note({ state: "refused" }), 5)).toEqual({ word: "refused", tone: "down" });
  expect(fareOf(note({ state: "cancelled" }), 5).word).toBe("not sent");
});

test("how fast somebody was told counts from when it became true", () => {
  expect(toldAfter({ alert: alertOf({}) })).toBeNull();
  expect(toldAfter({ alert: alertOf({ told_at: 1_004_000 }) })).toBe(4);
});
