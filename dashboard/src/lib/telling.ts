/** Who is told of what: channels, policies, rules, silences; loaded again when the live stream says that one changed. */
import { type QueryClient, useMutation, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import {
  type Catalogue,
  type Checks,
  hub,
  type NewSilence,
  type SaveChannel,
  type SavePolicies,
  type ScopedRule,
  taken,
} from "./api";
import { lookAgain, reload, take } from "./cache";

/** What a bundle is made of. */
export const KINDS = ["channels", "policies", "rules", "silences"] as const;

/** Rules, policies, silences, channels or tags are others now. */
export function takeBundle(cache: QueryClient): void {
  for (const kind of KINDS) reload(cache, [kind]);
}

const of = (organizationId: string) => ({ params: { query: { organization_id: organizationId } } });

export function useChannels(organizationId: string | undefined) {
  return useQuery({
    queryKey: ["channels", organizationId],
    queryFn: ({ signal }) => taken(hub.GET("/api/v1/channels", { ...of(organizationId ?? ""), signal })),
    // What comes of a drill is nobody's news but that of who looks on.
    refetchInterval: ({ state }) =>
      state.data?.channels.some(({ paths }) => paths.some(({ outcome }) => outcome === "trying"))
        ? 2000
        : 30_000,
    enabled: organizationId !== undefined,
  });
}

export function useSaveChannel(organizationId: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ id, wanted }: { id: string | null; wanted: SaveChannel }) =>
      id === null
        ? taken(hub.POST("/api/v1/channels", { body: { ...wanted, organization_id: organizationId } }))
        : taken(
            hub.PUT("/api/v1/channels/{channel_id}", {
              params: { path: { channel_id: id } },
              body: wanted,
            }),
          ),
    onSuccess: () => reload(cache, ["channels"]),
    onError: (problem) => lookAgain(cache, problem, ["channels"]),
  });
}

export function useDeleteChannel() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) =>
      taken(hub.DELETE("/api/v1/channels/{channel_id}", { params: { path: { channel_id: id } } })),
    onSuccess: () => {
      reload(cache, ["channels"]);
      reload(cache, ["policies"]);
    },
  });
}

export function useTestChannel() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) =>
      taken(hub.POST("/api/v1/channels/{channel_id}/test", { params: { path: { channel_id: id } } })),
    onSettled: () => reload(cache, ["channels"]),
  });
}

export function useDrill(organizationId: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: () =>
      taken(hub.POST("/api/v1/drills", { body: { organization_id: organizationId, servers: [] } })),
    onSettled: () => reload(cache, ["channels"]),
  });
}

export function usePolicies(organizationId: string | undefined) {
  return useQuery({
    queryKey: ["policies", organizationId],
    queryFn: ({ signal }) => taken(hub.GET("/api/v1/policies", { ...of(organizationId ?? ""), signal })),
    refetchInterval: 60_000,
    enabled: organizationId !== undefined,
  });
}

export function useSavePolicies(organizationId: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (wanted: SavePolicies) =>
      taken(hub.PUT("/api/v1/policies", { ...of(organizationId), body: wanted })),
    onSuccess: (saved) => take(cache, ["policies", organizationId], saved),
    onError: (problem) => lookAgain(cache, problem, ["policies"]),
  });
}

export function useRules(organizationId: string | undefined) {
  return useQuery({
    queryKey: ["rules", organizationId],
    queryFn: ({ signal }) => taken(hub.GET("/api/v1/rules", { ...of(organizationId ?? ""), signal })),
    refetchInterval: 60_000,
    enabled: organizationId !== undefined,
  });
}

export function useSaveRule(organizationId: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: async ({
      known,
      wanted,
    }: {
      known: { id: string; version: number } | null;
      wanted: ScopedRule;
    }) => {
      if (known === null)
        await taken(hub.POST("/api/v1/rules", { body: { ...wanted, organization_id: organizationId } }));
      else
        await taken(
          hub.PUT("/api/v1/rules/{rule_id}", {
            params: { path: { rule_id: known.id } },
            body: { ...wanted, version: known.version },
          }),
        );
    },
    onSuccess: () => reload(cache, ["rules"]),
    onError: (problem) => lookAgain(cache, problem, ["rules"]),
  });
}

export function useDeleteRule() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) =>
      taken(hub.DELETE("/api/v1/rules/{rule_id}", { params: { path: { rule_id: id } } })),
    onSuccess: () => reload(cache, ["rules"]),
  });
}

export function useSilences(organizationId: string | undefined) {
  return useQuery({
    queryKey: ["silences", organizationId],
    queryFn: ({ signal }) => taken(hub.GET("/api/v1/silences", { ...of(organizationId ?? ""), signal })),
    // One that begins or ends by the clock is nobody's news.
    refetchInterval: 20_000,
    enabled: organizationId !== undefined,
  });
}

export function useAddSilence() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (wanted: NewSilence) => taken(hub.POST("/api/v1/silences", { body: wanted })),
    onSuccess: (all, { organization_id }) => {
      take(cache, ["silences", organization_id], all);
      reload(cache, ["alerts"]);
      reload(cache, ["alert"]);
    },
  });
}

export function useEndSilence() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) =>
      taken(hub.DELETE("/api/v1/silences/{silence_id}", { params: { path: { silence_id: id } } })),
    onSuccess: () => {
      reload(cache, ["silences"]);
      reload(cache, ["alerts"]);
    },
  });
}

/** What servers declare and how their checks are called: what a rule can be about. A few servers stand for all. */
export function useVocabulary(serverIds: readonly string[]): { catalogues: Catalogue[]; checks: Checks[] } {
  const asked = serverIds.slice(0, 20);
  const catalogues = useQueries({
    queries: asked.map((id) => ({
      queryKey: ["catalogue", id],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        taken(
          hub.GET("/api/v1/servers/{server_id}/catalogue", { params: { path: { server_id: id } }, signal }),
        ),
    })),
  });
  const checks = useQueries({
    queries: asked.map((id) => ({
      queryKey: ["checks", id],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        taken(hub.GET("/api/v1/servers/{server_id}/checks", { params: { path: { server_id: id } }, signal })),
    })),
  });
  return {
    catalogues: catalogues.flatMap(({ data }) => (data ? [data] : [])),
    checks: checks.flatMap(({ data }) => (data ? [data] : [])),
  };
}
