import { expect, test } from "vitest";
import type { Server } from "./api";
import { withNews } from "./data";
import { type LiveEvent, meanwhile, tell } from "./live";

const serverOf = (id: string, name: string) => ({ id, name }) as Server;
const changed = (id: string, name: string): LiveEvent => ({ type: "server", data: serverOf(id, name) });
const gone = (id: string): LiveEvent => ({ type: "gone", data: { server_id: id } });

test("what is told while a list is loaded stands in it, and nothing of before or after", async () => {
  tell(changed("a", "before"));
  let answer = (_: Server[]) => {};
  const loading = meanwhile(
    () =>
      new Promise<Server[]>((resolve) => {
        answer = resolve;
      }),
  );
  tell(changed("b", "renamed"));
  tell(gone("c"));
  tell(changed("d", "new"));
  tell({ type: "bundle", data: {} });
  answer([serverOf("a", "as loaded"), serverOf("b", "old name"), serverOf("c", "deleted")]);
  const [loaded, news] = await loading;
  tell(gone("a"));
  expect(news.reduce(withNews, loaded).map(({ name }) => name)).toEqual(["as loaded", "renamed", "new"]);
});

test("a load that fails stops listening", async () => {
  await expect(meanwhile(() => Promise.reject(new Error("hub away")))).rejects.toThrow("hub away");
  expect(await meanwhile(async () => "fine")).toEqual(["fine", []]);
});
