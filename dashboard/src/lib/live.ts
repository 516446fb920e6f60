/**
 * The live stream: one connection per tab, server-sent events over fetch (an EventSource could not carry the token).
 *
 * Invariants: silence of more than 40 s counts as lost (the hub sends a comment every 15 s); a lost connection is tried
 * again after 1, 2, 4 … 30 s, at once when the device comes online or the tab comes back; a stream that follows another
 * server is open before the one before it ends; whoever listens is told of every `hello`, so that it can load what it
 * missed. A tab that nobody looks at closes its stream after a minute: over HTTP/1.1 a browser has six connections to a
 * hub, for all tabs together.
 */
import { EventSourceParserStream } from "eventsource-parser/stream";
import { useSyncExternalStore } from "react";
import { type Alert, authorizedFetch, type Checks, type Server } from "./api";
import { learnHubTime } from "./clock";
import type { Columns } from "./series";

export type LiveEvent =
  /** A stream is open. `after` a start nothing was heard before, after a break something was missed, after a move nothing. */
  | { type: "hello"; data: { hub_time: number }; after: "start" | "break" | "move" }
  | { type: "server"; data: Server }
  | { type: "samples"; data: Columns & { server_id: string } }
  | { type: "checks"; data: Partial<Checks> & { server_id: string } }
  | { type: "gone"; data: { server_id: string } }
  | { type: "alert"; data: Alert }
  /** Rules, policies, silences, channels or tags are others now. */
  | { type: "bundle"; data: Record<string, never> };

export type LiveStatus = {
  state: "off" | "connecting" | "open" | "lost" /** When this state began, ms. */;
  since: number;
};

const SILENCE_MS = 40_000;
const HIDDEN_MS = 60_000;
const OFF: LiveStatus = { state: "off", since: 0 };

let status: LiveStatus = OFF;
let serverId: string | null = null;
let wanted = false;
let attempt = 0;
let missed = false;
let running: AbortController | null = null;
/** The stream that is heard until the one that is to follow it is open. */
let former: AbortController | null = null;
let hiding: ReturnType<typeof setTimeout> | null = null;
let retry: ReturnType<typeof setTimeout> | null = null;

const statusListeners = new Set<() => void>();
const eventListeners = new Set<(event: LiveEvent) => void>();

function become(state: LiveStatus["state"]): void {
  if (status.state === state) return;
  status = { state, since: Date.now() };
  for (const listener of statusListeners) listener();
}

async function read(signal: AbortSignal, alive: () => void): Promise<void> {
  const query = serverId === null ? "" : `?server=${encodeURIComponent(serverId)}`;
  const request = new Request(`${window.location.origin}/api/v1/live${query}`, {
    headers: { Accept: "text/event-stream" },
    signal,
    cache: "no-store",
  });
  const response = await authorizedFetch(request);
  if (!response.ok || response.body === null) throw new Error(`live stream refused: ${response.status}`);
  const heard = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      alive();
      controller.enqueue(chunk);
    },
  });
  const events = response.body
    .pipeThrough(heard)
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  for (;;) {
    const { done, value } = await events.read();
    if (done) return;
    const event = { type: value.event ?? "message", data: JSON.parse(value.data) } as LiveEvent;
    if (event.type === "hello") {
      learnHubTime(event.data.hub_time);
      event.after = missed ? "break" : former === null ? "start" : "move";
      missed = false;
      attempt = 0;
      former?.abort();
      former = null;
      become("open");
    }
    tell(event);
  }
}

async function connect(): Promise<void> {
  if (retry !== null) clearTimeout(retry);
  retry = null;
  const own = new AbortController();
  running = own;
  let silence = setTimeout(() => own.abort(), SILENCE_MS);
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => own.abort(), SILENCE_MS);
  };
  try {
    await read(own.signal, alive);
  } catch {
    // Whatever ended the stream, the answer is the same: say so and try again.
  } finally {
    clearTimeout(silence);
    own.abort();
  }
  if (former === own) {
    former = null;
    missed = true;
  }
  if (running !== own || !wanted) return;
  missed = true;
  become("lost");
  const delay = Math.min(30_000, 1000 * 2 ** attempt) * (0.75 + Math.random() / 2);
  attempt += 1;
  retry = setTimeout(connect, delay);
}

function end(): void {
  running?.abort();
  former?.abort();
  running = former = null;
  if (retry !== null) clearTimeout(retry);
  retry = null;
}

function restart(): void {
  end();
  if (wanted) void connect();
}

/** Goes on with another server. */
function move(): void {
  if (running === null || status.state !== "open") restart();
  else {
    // Where the one before has not been followed yet, it is still the one that is heard.
    if (former === null) former = running;
    else running.abort();
    void connect();
  }
}

function hurry(): void {
  if (!wanted || status.state !== "lost" || document.visibilityState === "hidden") return;
  attempt = 0;
  restart();
}

/** The network is another one: what is open may be dead, and does not know it yet. */
function renew(): void {
  missed = true;
  attempt = 0;
  restart();
}

function look(): void {
  if (hiding !== null) clearTimeout(hiding);
  hiding = null;
  if (document.visibilityState === "hidden")
    hiding = setTimeout(() => {
      end();
      missed = true;
      become("off");
    }, HIDDEN_MS);
  else if (running === null) {
    become("connecting");
    restart();
  } else hurry();
}

/** Opens the stream; the returned function closes it. */
export function openLive(): () => void {
  wanted = true;
  become("connecting");
  window.addEventListener("online", renew);
  document.addEventListener("visibilitychange", look);
  restart();
  return () => {
    wanted = false;
    missed = false;
    window.removeEventListener("online", renew);
    document.removeEventListener("visibilitychange", look);
    if (hiding !== null) clearTimeout(hiding);
    end();
    become("off");
  };
}

const watchers = new Map<string, number>();

/** Asks for the samples and checks of one server, until the returned function is called. The last to ask decides. */
export function watchServer(id: string): () => void {
  watchers.set(id, (watchers.get(id) ?? 0) + 1);
  if (serverId !== id) {
    serverId = id;
    move();
  }
  return () => {
    const left = (watchers.get(id) ?? 1) - 1;
    if (left > 0) {
      watchers.set(id, left);
      return;
    }
    watchers.delete(id);
    if (serverId !== id) return;
    serverId = null;
    move();
  };
}

/** Tells an event to all who listen. */
export function tell(event: LiveEvent): void {
  for (const listener of eventListeners) listener(event);
}

/** The result of the work, and what the stream told in the meantime: it may be newer than the result. */
export async function meanwhile<T>(work: () => Promise<T>): Promise<[T, LiveEvent[]]> {
  const told: LiveEvent[] = [];
  const stop = onLive((event) => void told.push(event));
  try {
    return [await work(), told];
  } finally {
    stop();
  }
}

export function onLive(listener: (event: LiveEvent) => void): () => void {
  eventListeners.add(listener);
  return () => eventListeners.delete(listener);
}

function subscribe(listener: () => void): () => void {
  statusListeners.add(listener);
  return () => statusListeners.delete(listener);
}

export function useLiveStatus(): LiveStatus {
  return useSyncExternalStore(
    subscribe,
    () => status,
    () => OFF,
  );
}

/** Tries at once instead of waiting for the next attempt. */
export function retryLive(): void {
  attempt = 0;
  restart();
}
