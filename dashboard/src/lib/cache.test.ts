import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, test, vi } from "vitest";
import { reload, take } from "./cache";

const KEY = ["checks", "web-1"];

/** A cache in which one query is looked at; its loads are answered by hand, in any order. */
function looking() {
  const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const answers: ((answer: string) => void)[] = [];
  const queryFn = () => new Promise<string>((resolve) => answers.push(resolve));
  const stop = new QueryObserver(cache, { queryKey: KEY, queryFn }).subscribe(() => undefined);
  return { cache, answers, stop, seen: () => cache.getQueryData<string>(KEY) };
}

test("an answer that was read before the news does not undo them", async () => {
  const { cache, answers, stop, seen } = looking();
  take(cache, KEY, "all up");
  answers[0]?.("nothing known");
  void cache.refetchQueries({ queryKey: KEY });
  take(cache, KEY, "one is down");
  answers[1]?.("all up");
  await vi.waitFor(() => expect(cache.isFetching()).toBe(0));
  expect(answers).toHaveLength(2);
  expect(seen()).toBe("one is down");
  stop();
});

test("what is loaded again is what is asked for after the word of it", async () => {
  const { cache, answers, stop, seen } = looking();
  reload(cache, KEY);
  await vi.waitFor(() => expect(answers).toHaveLength(2));
  answers[1]?.("one is down");
  answers[0]?.("all up");
  await vi.waitFor(() => expect(cache.isFetching()).toBe(0));
  expect(seen()).toBe("one is down");
  stop();
});
