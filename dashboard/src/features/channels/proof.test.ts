import { expect, test } from "vitest";
import type { ChannelPath } from "@/lib/api";
import { channelProof, PROOF_MS, pathInWords, pathsInOrder, reachInWords } from "./proof";

const NOW = 1_800_000_000_000;
const path = (given: Partial<ChannelPath>): ChannelPath => ({
  server_id: null,
  server: null,
  tried_at: NOW - 60_000,
  outcome: "delivered",
  reason: "",
  proven_at: NOW - 60_000,
  seconds: 0.4,
  ...given,
});

test("a channel is proven by what arrived within 30 days, and not by what is refused since", () => {
  expect(channelProof({ paths: [] }, NOW)).toBe("never");
  expect(channelProof({ paths: [path({})] }, NOW)).toBe("proven");
  expect(channelProof({ paths: [path({ proven_at: NOW - PROOF_MS - 1 })] }, NOW)).toBe("old");
  expect(channelProof({ paths: [path({ outcome: "refused" })] }, NOW)).toBe("failed");
  expect(channelProof({ paths: [path({}), path({ server_id: "1", outcome: "retry" })] }, NOW)).toBe("failed");
  expect(channelProof({ paths: [path({ outcome: "trying", proven_at: null })] }, NOW)).toBe("never");
});

test("paths are told in words, the hub's first", () => {
  const paths = [
    path({ server_id: "2", server: "web-10" }),
    path({ server_id: "1", server: "web-2" }),
    path({}),
  ];
  expect(pathsInOrder(paths).map(({ server }) => server)).toEqual([null, "web-2", "web-10"]);
  expect(pathInWords(path({}), NOW)).toBe("arrived 1 min ago, took 400 ms");
  expect(pathInWords(path({ outcome: "trying" }), NOW)).toBe("is being tried");
  expect(pathInWords(path({ outcome: "refused", proven_at: null }), NOW)).toBe(
    "failed 1 min ago; it never arrived",
  );
});

test("what a channel reaches is said without its secrets", () => {
  expect(reachInWords({ recipients: ["a@x.org", "b@x.org"] })).toBe("a@x.org, b@x.org");
  expect(reachInWords({ url: "***" })).toBe("");
  expect(reachInWords({ to: "+41791234567" })).toBe("+41791234567");
});
