import { expect, test } from "vitest";
import { fieldsOf, labelOf, type Node } from "./schema";
import { HTTP } from "./schema.example";

function at(...path: string[]): Node {
  let fields = fieldsOf(HTTP);
  let node: Node | undefined;
  for (const key of path) {
    node = fields.find((field) => field.key === key)?.node;
    const inner = node?.kind === "list" ? node.item() : node;
    fields = inner?.kind === "group" ? inner.fields() : [];
  }
  if (node === undefined) throw new Error(`no ${path.join(".")}`);
  return node;
}

test("what is required stands first, the rest as declared", () => {
  expect(fieldsOf(HTTP).map(({ key, required }) => [key, required])).toEqual([
    ["endpoints", true],
    ["strict", false],
    ["ratio", false],
  ]);
});

test("each schema has the field that fits it", () => {
  expect(at("strict")).toMatchObject({ kind: "switch", fallback: true });
  expect(at("ratio")).toMatchObject({ kind: "number", nullable: true, whole: false, fallback: 0.5 });
  expect(at("endpoints")).toMatchObject({ kind: "list", fewest: 1, title: "Endpoints" });
  expect(at("endpoints", "url")).toMatchObject({ kind: "text", title: "URL", help: "What is asked." });
  expect(at("endpoints", "timeout")).toMatchObject({ kind: "text", duration: true, fallback: "10s" });
  expect(at("endpoints", "password")).toMatchObject({ kind: "text", secret: true, nullable: true });
  expect(at("endpoints", "method")).toMatchObject({ kind: "choice", values: ["GET", "HEAD"] });
  expect(at("endpoints", "headers")).toMatchObject({ kind: "map" });
});

test("a union within a nullable is one union, its members without their tag", () => {
  const auth = at("endpoints", "auth");
  if (auth.kind !== "union") throw new Error(auth.kind);
  expect(auth).toMatchObject({ nullable: true, names: ["basic", "bearer"], tag: "how" });
  const basic = auth.members[0]?.();
  if (basic?.kind !== "group") throw new Error("no group");
  expect(basic.fields().map(({ key }) => key)).toEqual(["user"]);
  expect(basic.tag).toEqual({ key: "how", value: "basic" });
});

test("a schema may refer to itself", () => {
  const inner = at("endpoints", "inner");
  if (inner.kind !== "group") throw new Error(inner.kind);
  expect(inner.fields().some(({ key }) => key === "inner")).toBe(true);
});

test("what a form cannot show is text", () => {
  expect(fieldsOf({ type: "object", properties: { any: {} } })[0]?.node.kind).toBe("json");
  expect(fieldsOf({})).toEqual([]);
});

test("a field without a title is called after its key", () => {
  expect(labelOf("expect_status", at("strict"))).toBe("Expect status");
  expect(labelOf("url", at("endpoints", "url"))).toBe("URL");
});
