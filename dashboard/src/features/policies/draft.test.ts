import { expect, test } from "vitest";
import type { Policy } from "@/lib/api";
import { draftOf, moved, readPolicy, step, tellsNobody, withPolicy } from "./draft";

const POLICY: Policy = {
  id: "p",
  name: "Critical",
  severities: ["critical"],
  what: { servers: [], tags: ["prod"], rule: "" },
  steps: [
    { after_seconds: 0, channels: ["kind:email"] },
    { after_seconds: 900, channels: ["c1"] },
  ],
  repeat_seconds: 1800,
  quiet: { zone: "Europe/Zurich", start: "22:00", end: "06:00", days: [0] },
  quiet_holds_down: false,
};

test("a policy comes through the form as it was", () => {
  expect(readPolicy(draftOf(POLICY))).toEqual({ policy: POLICY, faults: new Map() });
  const odd = { ...POLICY, steps: [{ after_seconds: 0, channels: [] }], repeat_seconds: 90, quiet: null };
  expect(readPolicy(draftOf(odd)).policy).toEqual(odd);
});

test("what the hub would refuse is told beside its field", () => {
  const blank = draftOf(null);
  expect([...readPolicy(blank).faults.keys()]).toEqual(["name"]);
  const wrong = { ...blank, name: "x", steps: [step("5"), step("5"), step("a"), step("1")], repeat: "-1" };
  expect([...readPolicy(wrong).faults.keys()]).toEqual([
    "steps.0",
    "steps.1",
    "steps.2",
    "steps.3",
    "repeat",
  ]);
});

test("order decides, so policies can change places", () => {
  const all = ["a", "b", "c"].map((id) => ({ ...POLICY, id }));
  const ids = (policies: Policy[]) => policies.map(({ id }) => id).join("");
  expect(ids(moved(all, 0, 1))).toBe("bac");
  expect(ids(moved(all, 2, -1))).toBe("acb");
  expect(ids(moved(all, 0, -1))).toBe("abc");
  expect(withPolicy(all, { ...POLICY, id: "b", name: "new" }).map(({ name }) => name)).toEqual([
    "Critical",
    "new",
    "Critical",
  ]);
  expect(withPolicy(all, { ...POLICY, id: null })).toHaveLength(4);
});

test("one without channels tells nobody", () => {
  expect(tellsNobody(POLICY)).toBe(false);
  expect(tellsNobody({ ...POLICY, steps: [{ after_seconds: 0, channels: [] }] })).toBe(true);
});
