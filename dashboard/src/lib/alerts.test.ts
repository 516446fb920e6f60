import { expect, test } from "vitest";
import { withAlert } from "./alerts";
import { alertOf } from "./alerts.example";

const ids = (alerts: readonly { id: string }[]) => alerts.map(({ id }) => id);

test("a new alert stands where its time puts it, and a known one is replaced", () => {
  const known = [alertOf({ id: "c", detected_at: 30 }), alertOf({ id: "a", detected_at: 10 })];
  expect(ids(withAlert(known, alertOf({ id: "d", detected_at: 40 })))).toEqual(["d", "c", "a"]);
  expect(ids(withAlert(known, alertOf({ id: "b", detected_at: 20 })))).toEqual(["c", "b", "a"]);
  expect(ids(withAlert(known, alertOf({ id: "z", detected_at: 1 })))).toEqual(["c", "a", "z"]);
  const taken = withAlert(known, alertOf({ id: "a", detected_at: 10, state: "acknowledged" }));
  expect(ids(taken)).toEqual(["c", "a"]);
  expect(taken[1]?.state).toBe("acknowledged");
});

test("what is resolved is open no more", () => {
  const known = [alertOf({ id: "a" }), alertOf({ id: "b" })];
  expect(ids(withAlert(known, alertOf({ id: "a", state: "resolved" })))).toEqual(["b"]);
  expect(ids(withAlert(known, alertOf({ id: "x", state: "resolved" })))).toEqual(["a", "b"]);
});
