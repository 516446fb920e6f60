/** What the pages know of the hub: cached answers, kept fresh by the live stream. */
import {
  keepPreviousData,
  QueryClient,
  queryOptions,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { takeAlert } from "./alerts";
import { hub, Problem, type Server, taken } from "./api";
import { reloadKinds, take } from "./cache";
import { hubNow, learnHubTime } from "./clock";
import { type LiveEvent, meanwhile, onLive, openLive, watchServer } from "./live";
import { type Columns, type Frame, frameOf, INSTANCE } from "./series";
import { takeStanding } from "./standing";
import { follow, isBacklog, type Tail, tailFrom } from "./tail";
import { KINDS, takeBundle } from "./telling";

export function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        refetchOnWindowFocus: true,
        networkMode: "always",
        retry: (failures, error) => failures < 2 && error instanceof Problem && error.passing,
        retryDelay: (failures) => Math.min(8000, 700 * 2 ** failures),
      },
      mutations: { networkMode: "always" },
    },
  });
}

const servers = queryOptions({
  queryKey: ["servers"],
  queryFn: async ({ signal }) => {
    const [answer, news] = await meanwhile(() => taken(hub.GET("/api/v1/servers", { signal })));
    learnHubTime(answer.hub_time);
    return news.reduce(withNews, answer.servers);
  },
});

export function useStatus(enabled = true) {
  return useQuery({
    queryKey: ["status"],
    queryFn: ({ signal }) => taken(hub.GET("/api/v1/status", { signal })),
    staleTime: 10_000,
    enabled,
  });
}

export function useMe(enabled = true) {
  return useQuery({
    queryKey: ["me"],
    queryFn: ({ signal }) => taken(hub.GET("/api/v1/me", { signal })),
    staleTime: 5 * 60_000,
    enabled,
  });
}

export function useStorage(organizationId: string) {
  return useQuery({
    queryKey: ["storage", organizationId],
    queryFn: ({ signal }) =>
      taken(hub.GET("/api/v1/storage", { params: { query: { organization_id: organizationId } }, signal })),
    staleTime: 60_000,
  });
}

export function useServers() {
  return useQuery({ ...servers, refetchInterval: 60_000 });
}

export function useServer(id: string) {
  const cache = useQueryClient();
  return useQuery<Server>({
    queryKey: ["server", id],
    queryFn: ({ signal }) =>
      taken(hub.GET("/api/v1/servers/{server_id}", { params: { path: { server_id: id } }, signal })),
    placeholderData: () => cache.getQueryData(servers.queryKey)?.find((server) => server.id === id),
    refetchInterval: 60_000,
    enabled: id !== "",
  });
}

export function useCatalogue(id: string) {
  return useQuery({
    queryKey: ["catalogue", id],
    queryFn: ({ signal }) =>
      taken(
        hub.GET("/api/v1/servers/{server_id}/catalogue", { params: { path: { server_id: id } }, signal }),
      ),
    staleTime: 30_000,
    refetchInterval: 60_000,
    enabled: id !== "",
  });
}

/** Of each metric that the server has ever sent: the names of the monitors of one type that it came from. */
export type Known = ReadonlyMap<string, ReadonlySet<string>>;

/** Which charts of a server have something to show. */
export function useKnownMetrics(id: string) {
  return useQuery({
    queryKey: ["latest", id],
    queryFn: ({ signal }) =>
      taken(hub.GET("/api/v1/servers/{server_id}/latest", { params: { path: { server_id: id } }, signal })),
    select: ({ series }): Known => {
      const known = new Map<string, Set<string>>();
      for (const { metric, labels } of series) {
        const names = known.get(metric) ?? new Set<string>();
        known.set(metric, names);
        const name = labels[INSTANCE];
        if (name) names.add(name);
      }
      return known;
    },
    refetchInterval: 30_000,
    enabled: id !== "",
  });
}

export type Window = { since: number; to: number };

/** Samples of some metrics. A fixed window is loaded once; a length up to now is loaded again every few minutes. */
export function useRange(ask: {
  serverId: string;
  metrics: readonly string[];
  lengthMs: number;
  window: Window | null;
  points: number;
  now: () => number;
  enabled?: boolean;
  refetchMs?: number;
}) {
  const { serverId, metrics, lengthMs, window, points } = ask;
  return useQuery({
    queryKey: ["range", serverId, metrics, window ?? lengthMs, points],
    queryFn: async ({ signal }): Promise<Frame> => {
      const to = window?.to ?? Math.round(ask.now());
      const since = window?.since ?? to - lengthMs;
      return frameOf(
        await taken(
          hub.GET("/api/v1/servers/{server_id}/range", {
            params: {
              path: { server_id: serverId },
              query: { metric: [...metrics], since, to: to + 1, points },
            },
            signal,
          }),
        ),
      );
    },
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 5 * 60_000,
    refetchInterval: window ? false : (ask.refetchMs ?? 5 * 60_000),
    refetchOnWindowFocus: window === null,
    enabled: ask.enabled ?? true,
  });
}

/** Keeps the cached servers true while the stream is open. Mounted once, inside. */
export function useLiveData(signedIn: boolean): void {
  const cache = useQueryClient();
  useEffect(() => {
    if (!signedIn) return;
    const stop = onLive((event) => {
      if (event.type === "hello") takeHello(cache, event.after);
      else if (event.type === "server") {
        takeServer(cache, event.data);
      } else if (event.type === "gone") {
        cache.setQueryData(servers.queryKey, (known) => known && withNews(known, event));
        cache.removeQueries({ queryKey: ["server", event.data.server_id] });
      } else if (event.type === "checks") {
        takeStanding(cache, event.data);
      } else if (event.type === "alert") {
        takeAlert(cache, event.data);
      } else if (event.type === "bundle") {
        takeBundle(cache);
      }
    });
    const close = openLive();
    return () => {
      stop();
      close();
    };
  }, [cache, signedIn]);
}

const OF_ONE_SERVER = ["checks", "configuration"];
const OF_ALL = [...OF_ONE_SERVER, "servers", "server", "alerts", "alert", ...KINDS];

/** A stream is open: what was read before may be old by now, and what is on its way as well. */
function takeHello(cache: QueryClient, after: "start" | "break" | "move"): void {
  if (after === "break") {
    reloadKinds(cache, (kind) => kind !== "status" && kind !== "me");
    return;
  }
  const told = after === "start" ? OF_ALL : OF_ONE_SERVER;
  reloadKinds(cache, (kind) => told.includes(kind));
  // Only what was loaded before can lack a sample.
  void cache.invalidateQueries({
    predicate: ({ queryKey: [kind], state }) => kind === "range" && state.dataUpdatedAt > 0,
  });
}

/** A server as it is now: by itself and in the list. */
function takeServer(cache: QueryClient, server: Server): void {
  take(cache, ["server", server.id], server);
  cache.setQueryData(servers.queryKey, (known) => known && withNews(known, { type: "server", data: server }));
}

/** The servers after what the live stream told of one. */
export function withNews(known: Server[], event: LiveEvent): Server[] {
  if (event.type === "gone") return known.filter(({ id }) => id !== event.data.server_id);
  if (event.type !== "server") return known;
  const server = event.data;
  return known.some(({ id }) => id === server.id)
    ? known.map((each) => (each.id === server.id ? server : each))
    : [...known, server];
}

/** What the live stream brought for one server since the page was opened, at most the last half hour. */
export function useTail(serverId: string): readonly Columns[] {
  const cache = useQueryClient();
  const [kept, setKept] = useState<readonly Columns[]>([]);
  useEffect(() => {
    if (serverId === "") return;
    setKept([]);
    // The stream says what the hub's time is before it brings samples.
    let tail: Tail | null = null;
    let backfill: ReturnType<typeof setTimeout> | null = null;
    const stopListening = onLive((event) => {
      if (event.type !== "samples" || event.data.server_id !== serverId) return;
      if (event.data.times.length === 0) return;
      tail ??= tailFrom(hubNow());
      if (isBacklog(tail, event.data) && backfill === null)
        backfill = setTimeout(() => {
          backfill = null;
          void cache.invalidateQueries({ queryKey: ["range", serverId] });
        }, 3000);
      tail = follow(tail, event.data);
      setKept(tail.kept);
    });
    const stopWatching = watchServer(serverId);
    return () => {
      if (backfill !== null) clearTimeout(backfill);
      stopListening();
      stopWatching();
    };
  }, [cache, serverId]);
  return kept;
}

export function useRename() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ id, name }: { id: string; name: string }) =>
      taken(
        hub.PATCH("/api/v1/servers/{server_id}", { params: { path: { server_id: id } }, body: { name } }),
      ),
    onSuccess: (server) => takeServer(cache, server),
  });
}

/** Tags, and whether it is watched fast. */
export function useServerSettings() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ id, tags, fast }: { id: string; tags: string[]; fast: boolean }) =>
      taken(
        hub.PUT("/api/v1/servers/{server_id}/settings", {
          params: { path: { server_id: id } },
          body: { tags, fast },
        }),
      ),
    onSuccess: (server) => takeServer(cache, server),
  });
}

export function useDelete() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) =>
      taken(hub.DELETE("/api/v1/servers/{server_id}", { params: { path: { server_id: id } } })),
    onSuccess: (_nothing, id) =>
      cache.setQueryData(
        servers.queryKey,
        (known) => known && withNews(known, { type: "gone", data: { server_id: id } }),
      ),
  });
}

export function useSetup() {
  return useMutation({
    mutationFn: (asked: { token: string; email: string; password: string; organization: string }) =>
      taken(hub.POST("/api/v1/setup", { body: asked })),
  });
}
