import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Server } from "./api";
import { withNews } from "./data";
import { type LiveEvent, meanwhile, onLive, openLive, tell, watchServer } from "./live";

/** A stream that was asked for: what it was asked, and ways to say something on it and to end it. */
type Line = { url: string; signal: AbortSignal; say: (event: string, data: object) => void; end: () => void };
const lines: Line[] = [];
const page = { visibilityState: "visible", look: () => {} };

vi.mock("./api", async (original) => ({
  ...(await original<object>()),
  authorizedFetch: async (request: Request) => {
    const body = new TransformStream<Uint8Array, Uint8Array>();
    const writer = body.writable.getWriter();
    const { url, signal } = request;
    signal.addEventListener("abort", () => void writer.abort().catch(() => undefined));
    lines.push({
      url,
      signal,
      say: (event, data) =>
        void writer.write(new TextEncoder().encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)),
      end: () => void writer.close(),
    });
    return new Response(body.readable);
  },
}));

const line = async (number: number): Promise<Line> =>
  vi.waitFor(() => {
    const found = lines[number];
    if (found === undefined) throw new Error(`${lines.length} lines`);
    return found;
  });

const heard: string[] = [];
let stop = () => {};

beforeEach(() => {
  lines.length = heard.length = 0;
  vi.stubGlobal("window", {
    location: { origin: "http://hub" },
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  });
  page.visibilityState = "visible";
  vi.stubGlobal("document", {
    get visibilityState() {
      return page.visibilityState;
    },
    addEventListener: (_: string, listener: () => void) => {
      page.look = listener;
    },
    removeEventListener: () => undefined,
  });
  const end = onLive((event) =>
    heard.push(event.type === "hello" ? `hello after ${event.after}` : event.type),
  );
  const close = openLive();
  stop = () => {
    end();
    close();
  };
});

afterEach(() => {
  stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("whoever goes on to another server is told without a break, and by one stream in the end", async () => {
  (await line(0)).say("hello", { hub_time: 1 });
  await vi.waitFor(() => expect(heard).toEqual(["hello after start"]));
  const leave = watchServer("web-1");
  const next = await line(1);
  expect(next.url).toBe("http://hub/api/v1/live?server=web-1");
  lines[0]?.say("alert", {});
  await vi.waitFor(() => expect(heard).toHaveLength(2));
  expect(lines[0]?.signal.aborted).toBe(false);
  next.say("hello", { hub_time: 2 });
  await vi.waitFor(() => expect(heard).toEqual(["hello after start", "alert", "hello after move"]));
  expect(lines.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  leave();
  expect((await line(2)).url).toBe("http://hub/api/v1/live");
});

test("a stream that ends while the next is not open yet is a break", async () => {
  (await line(0)).say("hello", { hub_time: 1 });
  await vi.waitFor(() => expect(heard).toHaveLength(1));
  const leave = watchServer("web-1");
  const next = await line(1);
  lines[0]?.end();
  await vi.waitFor(() => expect(lines[0]?.signal.aborted).toBe(true));
  await new Promise((resolve) => setTimeout(resolve));
  next.say("hello", { hub_time: 2 });
  await vi.waitFor(() => expect(heard.at(-1)).toBe("hello after break"));
  leave();
});

test("a tab that nobody looks at lets its connection go after a minute, and has missed something then", async () => {
  (await line(0)).say("hello", { hub_time: 1 });
  await vi.waitFor(() => expect(heard).toHaveLength(1));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  page.visibilityState = "hidden";
  page.look();
  vi.advanceTimersByTime(30_000);
  page.visibilityState = "visible";
  page.look();
  vi.advanceTimersByTime(35_000);
  expect(lines[0]?.signal.aborted).toBe(false);
  page.visibilityState = "hidden";
  page.look();
  for (const count of [2, 3]) {
    lines[0]?.say("alert", {});
    await vi.waitFor(() => expect(heard).toHaveLength(count));
    expect(lines[0]?.signal.aborted).toBe(false);
    vi.advanceTimersByTime(31_000);
  }
  expect(lines[0]?.signal.aborted).toBe(true);
  vi.useRealTimers();
  expect(lines).toHaveLength(1);
  page.visibilityState = "visible";
  page.look();
  (await line(1)).say("hello", { hub_time: 2 });
  await vi.waitFor(() => expect(heard.at(-1)).toBe("hello after break"));
});

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
