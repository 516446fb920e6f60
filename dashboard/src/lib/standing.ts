/** How a server's checks and monitors stand, and its configuration: cached answers, kept fresh by the live stream. */
import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { type Checks, type Configuration, hub, taken } from "./api";
import { lookAgain, reload, take } from "./cache";
import { learnHubTime } from "./clock";
import { watchServer } from "./live";

/** Has the live stream bring the checks of a server for as long as the component is there. */
export function useWatched(id: string): void {
  useEffect(() => (id === "" ? undefined : watchServer(id)), [id]);
}

export function useChecks(id: string) {
  return useQuery({
    queryKey: ["checks", id],
    queryFn: async ({ signal }) => {
      const answer = await taken(
        hub.GET("/api/v1/servers/{server_id}/checks", { params: { path: { server_id: id } }, signal }),
      );
      learnHubTime(answer.hub_time);
      return answer;
    },
    refetchInterval: 60_000,
    enabled: id !== "",
  });
}

export function useConfiguration(id: string) {
  return useQuery({
    queryKey: ["configuration", id],
    queryFn: ({ signal }) =>
      taken(
        hub.GET("/api/v1/servers/{server_id}/configuration", {
          params: { path: { server_id: id } },
          signal,
        }),
      ),
    // The agent's answer to a new version comes with the live stream; while one is awaited, look for it too.
    refetchInterval: ({ state }) => (isAwaited(state.data) ? 5000 : 60_000),
    enabled: id !== "",
  });
}

/** What became of the newest version: `none` was saved, the agent has not answered, refused it, or follows it. */
export type Force = "none" | "awaited" | "refused" | "in force";

export function forceOf({ standing, version }: Pick<Configuration, "standing" | "version">): Force {
  if (version === 0) return "none";
  if (standing === null) return "awaited";
  if (standing.version >= version) return "in force";
  return standing.refused >= version ? "refused" : "awaited";
}

function isAwaited(configuration: Configuration | undefined): boolean {
  return configuration !== undefined && forceOf(configuration) === "awaited";
}

export function useSaveConfiguration(id: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (wanted: Pick<Configuration, "version" | "monitors" | "rules">) =>
      taken(
        hub.PUT("/api/v1/servers/{server_id}/configuration", {
          params: { path: { server_id: id } },
          body: wanted,
        }),
      ),
    onSuccess: (saved) => take(cache, ["configuration", id], saved),
    onError: (problem) => lookAgain(cache, problem, ["configuration", id]),
  });
}

/** A report has come: the checks with it, or only word of it. */
export function takeStanding(cache: QueryClient, news: Partial<Checks> & { server_id: string }): void {
  const id = news.server_id;
  const known = cache.getQueryData<Checks>(["checks", id]);
  if (known !== undefined && namesOf(news.monitors) !== namesOf(known.monitors)) {
    // Other monitors have other charts.
    reload(cache, ["catalogue", id]);
    reload(cache, ["latest", id]);
  }
  if (news.checks !== undefined && news.monitors !== undefined)
    take<Checks>(cache, ["checks", id], {
      hub_time: 0,
      reported_at: null,
      checks: [],
      monitors: [],
      ...known,
      ...news,
    });
  else reload(cache, ["checks", id]);
  reload(cache, ["configuration", id]);
}

function namesOf(monitors: Checks["monitors"] | undefined): string {
  return (monitors ?? []).map(({ name, type }) => `${type} ${name}`).join("\n");
}
