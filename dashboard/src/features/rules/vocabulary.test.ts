import { expect, test } from "vitest";
import type { Catalogue, Checks } from "@/lib/api";
import { unitOf, vocabularyOf } from "./vocabulary";

const catalogue = (metric: string, by: string[]): Catalogue => ({
  fingerprint: "f",
  agent_version: "1",
  host: {},
  monitors: [
    {
      name: "disk",
      title: "Disk",
      interval_seconds: 15,
      metrics: [{ name: metric, unit: "1", help: "How full", good: "low" }],
      charts: [{ title: "Use", metrics: [metric], by, style: "line", mirror: [] }],
      headlines: [],
      rules: [],
    },
  ],
});

test("metrics of several servers are named once, with the labels that their charts are drawn by", () => {
  const checks = {
    server_id: "1",
    hub_time: 0,
    reported_at: null,
    checks: ["systemd:b.service", "systemd:a.service", "alone"].map((name) => ({
      name,
      monitor: "m",
      state: "up" as const,
      reason: "",
      message: "",
      since: 0,
    })),
    monitors: [],
  } satisfies Checks;
  const found = vocabularyOf(
    [catalogue("use", ["mount"]), catalogue("use", ["device"]), catalogue("age", [])],
    [checks],
    ["shop"],
  );
  expect(found.metrics.map(({ name, labels }) => [name, labels])).toEqual([
    ["age", []],
    ["probe.duration", []],
    ["tls.certificate.expires_in", []],
    ["use", ["device", "mount"]],
  ]);
  expect(unitOf(found, "tls.certificate.expires_in")).toBe("s");
  expect(found.checks).toEqual(["alone", "systemd:*", "systemd:a.service", "systemd:b.service"]);
  expect(found.probes).toEqual(["shop"]);
  expect(unitOf(found, "use")).toBe("1");
  expect(unitOf(found, "other")).toBeNull();
});
