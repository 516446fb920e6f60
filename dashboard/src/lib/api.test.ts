import { expect, test } from "vitest";
import { Problem, problemOf, unreachable } from "./api";

const answer = (status: number, body: string, headers: Record<string, string> = {}) =>
  new Response(body, { status, statusText: "Somehow", headers });

test("a problem of the hub keeps its slug, its words and its request id", async () => {
  const problem = await problemOf(
    answer(
      403,
      JSON.stringify({
        type: "urn:twinwatch:problem:setup-token",
        title: "This link is not valid",
        detail: "It was used already.",
        status: 403,
        request_id: "req_1",
      }),
    ),
  );
  expect(problem).toMatchObject({
    slug: "setup-token",
    status: 403,
    title: "This link is not valid",
    message: "It was used already.",
    requestId: "req_1",
    passing: false,
  });
});

test("an answer that is no problem document still says something, with the id of its header", async () => {
  const problem = await problemOf(answer(502, "<html>Bad gateway</html>", { "x-request-id": "req_2" }));
  expect(problem).toMatchObject({
    slug: "unknown",
    status: 502,
    title: "The hub answered 502",
    requestId: "req_2",
  });
  expect(problem.message).toBe("Somehow");
});

test("only what may pass by itself is tried again", () => {
  const of = (status: number) => new Problem({ slug: "x", status, title: "", detail: "" }).passing;
  expect([400, 401, 403, 404, 409, 422, 429, 500, 503].filter(of)).toEqual([429, 500, 503]);
  expect(unreachable().passing).toBe(true);
});
