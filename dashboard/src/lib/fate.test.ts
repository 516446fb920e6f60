import { expect, test } from "vitest";
import { fateOf } from "./fate";

test("a draft keeps to the version that it was made from, however far the live one moves", () => {
  expect(fateOf(3, 3, false)).toBe("kept");
  expect(fateOf(3, 4, false)).toBe("changed");
  expect(fateOf(3, 9, false)).toBe("changed");
});

test("what one saves oneself is not somebody else's change", () => {
  expect(fateOf(3, 4, true)).toBe("kept");
});

test("what was deleted is gone, also while a save of it is on its way", () => {
  expect(fateOf(3, null, false)).toBe("gone");
  expect(fateOf(3, null, true)).toBe("gone");
});

test("nobody else changes what is not stored yet", () => {
  expect(fateOf(null, null, false)).toBe("kept");
});

test("a thing without a version is compared as it stands", () => {
  expect(fateOf('{"name":"a"}', '{"name":"a"}', false)).toBe("kept");
  expect(fateOf('{"name":"a"}', '{"name":"b"}', false)).toBe("changed");
});
