import { expect, test } from "vitest";
import type { Probe, ProbeOutcome } from "@/lib/api";
import { expiryInWords, inOrder, matching, outcomeInWords, uptimeInWords } from "./order";

const probe = (name: string, given: Partial<Probe> = {}): Probe => ({
  id: name,
  organization_id: "o",
  server_id: null,
  name,
  kind: "http",
  settings: {},
  target: `https://${name}.example.org`,
  interval_seconds: 60,
  enabled: true,
  version: 1,
  secrets_lost: false,
  state: "up",
  since: null,
  last_at: null,
  last_seconds: null,
  message: "",
  reason: "",
  only_here: false,
  expires_at: null,
  next_at: 0,
  created_at: 0,
  uptime: { day: 1, week: 1, month: null, quarter: null },
  recent: [],
  ...given,
});
const names = (probes: Probe[]) => probes.map(({ name }) => name);

test("trouble stands on top and what is paused last", () => {
  const all = [
    probe("web-10"),
    probe("paused", { enabled: false, state: "down" }),
    probe("web-2"),
    probe("shop", { state: "down" }),
    probe("mail", { state: "degraded" }),
  ];
  expect(names(inOrder(all))).toEqual(["shop", "mail", "web-2", "web-10", "paused"]);
  expect(names(matching(all, "WEB", "all"))).toEqual(["web-10", "web-2"]);
  expect(names(matching(all, "", "down"))).toEqual(["shop"]);
});

test("uptime is never rounded up to all", () => {
  expect([1, 0.99999, 0.9951, 0, null].map(uptimeInWords)).toEqual(["100%", "99.99%", "99.51%", "0%", "–"]);
});

test("a certificate is spoken of when its end is near", () => {
  const now = 1_800_000_000_000;
  expect(expiryInWords(null, now)).toBeNull();
  expect(expiryInWords(now + 40 * 86_400_000, now)).toBeNull();
  expect(expiryInWords(now + 3 * 86_400_000, now)).toBe("certificate ends in 3 d");
  expect(expiryInWords(now - 1, now)).toBe("certificate expired");
});

test("what a try came to is a sentence", () => {
  const outcome: ProbeOutcome = {
    state: "up",
    reason: "",
    message: "",
    seconds: 0.12,
    phases: {},
    expires_at: null,
  };
  expect(outcomeInWords(outcome)).toBe("It answered as expected after 120 ms.");
  expect(outcomeInWords({ ...outcome, state: "down", message: "refused", seconds: null })).toBe(
    "It failed: refused",
  );
});
