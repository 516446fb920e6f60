import { expect, test } from "vitest";
import { historyFields, readState, writeState } from "@/lib/url";
import { isFiltered, NONE, spanOf } from "./filters";

test("a length of time ends now, and two instants stand for themselves", () => {
  expect(spanOf({ time: "24h", from: 5, to: 9 })).toEqual({ lengthMs: 86_400_000 });
  expect(spanOf({ time: "between", from: 5, to: null })).toEqual({ since: 5, to: null });
});

test("an address without filters shows everything, and each filter stands in the address", () => {
  expect(readState(historyFields, new URLSearchParams())).toEqual(NONE);
  expect(isFiltered(NONE)).toBe(false);
  expect(isFiltered({ ...NONE, rule: "silent" })).toBe(true);
  const address = writeState(historyFields, new URLSearchParams(), { ...NONE, state: "open", q: "disk" });
  expect(address).toBe("?q=disk&state=open");
  expect(readState(historyFields, new URLSearchParams("?state=nonsense&from=x"))).toEqual(NONE);
});
