import { expect, test } from "vitest";
import { type Draft, type DraftOf, draftOfFields, KEPT, optionsOf } from "./draft";
import { fieldsOf, type Json } from "./schema";
import { HTTP } from "./schema.example";

const FIELDS = fieldsOf(HTTP);
type Options = Record<string, Json>;
const through = (options: Options) => optionsOf(FIELDS, draftOfFields(FIELDS, options));

test("what was saved is read back as it was", () => {
  const options: Options = {
    strict: false,
    ratio: null,
    endpoints: [
      {
        url: "https://example.org",
        status: [200, 204],
        timeout: "1m30s",
        headers: { "X-Token": KEPT },
        auth: { how: "bearer", token: KEPT },
        password: KEPT,
        inner: { url: "http://b" },
      },
    ],
  };
  const { options: again, faults } = through(options);
  expect(faults.size).toBe(0);
  expect(again).toEqual(options);
});

test("what is left alone does not appear, so that defaults may change", () => {
  const { options, faults } = through({ endpoints: [{ url: "http://a" }] });
  expect(faults.size).toBe(0);
  expect(options).toEqual({ endpoints: [{ url: "http://a" }] });
});

test("options that the schema does not know are kept", () => {
  expect(through({ endpoints: [{ url: "http://a", old: 1 }], gone: [1] }).options).toEqual({
    endpoints: [{ url: "http://a", old: 1 }],
    gone: [1],
  });
});

test("a new one begins with a row to fill in, and says what is needed where", () => {
  const { faults } = through({});
  expect([...faults]).toEqual([["endpoints.0.url", "Needed"]]);
});

/** Faults of one endpoint whose field holds what was typed. */
function typed(key: string, draft: Draft): [string, string][] {
  const form = draftOfFields(FIELDS, { endpoints: [{ url: "http://a" }] });
  const list = form.fields.endpoints as DraftOf<"items">;
  const endpoint = list.items[0]?.draft as DraftOf<"fields">;
  endpoint.fields[key] = draft;
  return [...optionsOf(FIELDS, form).faults];
}

test("what is unlawful is told at its place", () => {
  expect(typed("url", "ftp://x")).toEqual([["endpoints.0.url", "Must match ^https?://"]]);
  expect(typed("url", "")).toEqual([["endpoints.0.url", "Needed"]]);
  expect(typed("timeout", "soon")).toEqual([["endpoints.0.timeout", "A duration such as 15s, 5m or 1h"]]);
  expect(typed("timeout", " 1h30m ")).toEqual([]);
  expect(typed("method", '"PUT"')).toEqual([["endpoints.0.method", "Choose one of the list"]]);
  expect(typed("status", { items: [{ id: 1, draft: "99" }] })).toEqual([
    ["endpoints.0.status.0", "At least 100"],
  ]);
  expect(typed("status", { items: [{ id: 1, draft: "2e400" }] })[0]?.[1]).toBe("A number is expected");
  expect(typed("status", { items: [{ id: 1, draft: "200.5" }] })[0]?.[1]).toBe("A whole number is expected");
  expect(
    typed("headers", {
      pairs: [
        { id: 1, key: "A", draft: "x" },
        { id: 2, key: "A", draft: "y" },
        { id: 3, key: " ", draft: "z" },
      ],
    }),
  ).toEqual([
    ["endpoints.0.headers.1", "A is there twice"],
    ["endpoints.0.headers.2", "A name is needed, or remove the row"],
  ]);
});

test("a bound that is out of bounds itself is refused", () => {
  const form = draftOfFields(FIELDS, { endpoints: [{ url: "http://a" }] });
  form.fields.ratio = "1";
  expect([...optionsOf(FIELDS, form).faults]).toEqual([["ratio", "Less than 1"]]);
  form.fields.ratio = "0";
  expect(optionsOf(FIELDS, form).options.ratio).toBe(0);
});

test("a value of a wrong kind stands in the field as it is, to be mended", () => {
  const form = draftOfFields(FIELDS, { endpoints: [{ url: 5 }], ratio: "half" });
  expect(form.fields.ratio).toBe("half");
  expect([...optionsOf(FIELDS, form).faults]).toEqual([
    ["endpoints.0.url", "Must match ^https?://"],
    ["ratio", "A number is expected"],
  ]);
});
