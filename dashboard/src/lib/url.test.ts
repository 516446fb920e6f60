import { describe, expect, test } from "vitest";
import { readState, safeNext, serverFields, serverPath, serversFields, writeState } from "./url";

const query = (text: string) => new URLSearchParams(text);

describe("state in the address", () => {
  test("reads what is there and falls back where it is nonsense", () => {
    expect(readState(serverFields, query("id=a&range=24h&from=5&to=9"))).toEqual({
      id: "a",
      range: "24h",
      from: 5,
      to: 9,
      charts: "",
    });
    expect(readState(serverFields, query("range=7y&from=-1&to=x"))).toEqual({
      id: "",
      range: "auto",
      from: null,
      to: null,
      charts: "",
    });
  });

  test("defaults are not written out, and other keys stay", () => {
    expect(writeState(serverFields, query("id=a&range=24h&other=1"), { range: "auto" })).toBe(
      "?id=a&other=1",
    );
    expect(writeState(serversFields, query("q=web"), { q: "" })).toBe("");
  });

  test("what was written is read again", () => {
    const state = {
      id: "x/y&z",
      range: "6h",
      from: 1_795_335_914_636,
      to: 1_795_336_095_000,
      charts: "cpu",
    } as const;
    expect(readState(serverFields, query(writeState(serverFields, query(""), state)))).toEqual(state);
  });

  test("a server's address carries its id escaped", () => {
    expect(serverPath("a b&c")).toBe("/server/?id=a+b%26c");
  });
});

describe("where to go after signing in", () => {
  test.each([
    [null, "/"],
    ["/server/?id=1", "/server/?id=1"],
    ["https://elsewhere.example/", "/"],
    ["//elsewhere.example/", "/"],
    ["/\\elsewhere.example/", "/"],
    ["/\t/elsewhere.example/", "/"],
    ["/\n\\elsewhere.example/", "/"],
    ["/\u0000/elsewhere.example/", "/"],
    ["///elsewhere.example/", "/"],
    ["/alerts/history/?text=//x", "/alerts/history/?text=//x"],
    ["javascript:alert(1)", "/"],
    ["/sign-in/?next=/", "/"],
  ])("%s leads to %s", (raw, path) => {
    expect(safeNext(raw)).toBe(path);
  });
});
