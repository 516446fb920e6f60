/** Probes: what the hub checks from outside. Their tries are nobody's news, so they are looked at again and again. */
import {
  keepPreviousData,
  type QueryClient,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { hub, type Probe, type SaveProbe, taken } from "./api";
import { lookAgain, reload, take } from "./cache";
import { hubNow, learnHubTime } from "./clock";

const LOOK_MS = 10_000;
const PAGE = 500;

/** All of an organization, by name; a text or a state narrows them at the hub. */
export function useProbes(organizationId: string | undefined) {
  return useQuery({
    queryKey: ["probes", organizationId],
    queryFn: async ({ signal }) => {
      const first = await load(organizationId ?? "", null, signal);
      learnHubTime(first.hub_time);
      const probes = [...first.probes];
      for (let next = first.next; next !== null; ) {
        const page = await load(organizationId ?? "", next, signal);
        probes.push(...page.probes);
        next = page.next;
      }
      return { ...first, probes };
    },
    refetchInterval: LOOK_MS,
    enabled: organizationId !== undefined,
  });
}

function load(organizationId: string, after: string | null, signal: AbortSignal) {
  return taken(
    hub.GET("/api/v1/probes", {
      params: {
        query: { organization_id: organizationId, limit: PAGE, ...(after === null ? {} : { after }) },
      },
      signal,
    }),
  );
}

export function useProbe(id: string) {
  return useQuery({
    queryKey: ["probe", id],
    queryFn: ({ signal }) =>
      taken(hub.GET("/api/v1/probes/{probe_id}", { params: { path: { probe_id: id } }, signal })),
    staleTime: 0,
    refetchInterval: LOOK_MS,
    enabled: id !== "",
  });
}

export function useProbeHistory(id: string, lengthMs: number) {
  return useQuery({
    queryKey: ["probe-history", id, lengthMs],
    queryFn: ({ signal }) => {
      const to = Math.round(hubNow());
      return taken(
        hub.GET("/api/v1/probes/{probe_id}/results", {
          params: { path: { probe_id: id }, query: { since: to - lengthMs, to, points: 90 } },
          signal,
        }),
      );
    },
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
    enabled: id !== "",
  });
}

export function useSaveProbe(organizationId: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ id, wanted }: { id: string | null; wanted: SaveProbe }) =>
      id === null
        ? taken(hub.POST("/api/v1/probes", { body: { ...wanted, organization_id: organizationId } }))
        : taken(hub.PUT("/api/v1/probes/{probe_id}", { params: { path: { probe_id: id } }, body: wanted })),
    onSuccess: (saved) => takeProbe(cache, saved),
    onError: (problem) => lookAgain(cache, problem, ["probes"]),
  });
}

export function usePauseProbe() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ id, paused }: { id: string; paused: boolean }) =>
      taken(
        hub.POST("/api/v1/probes/{probe_id}/pause", { params: { path: { probe_id: id } }, body: { paused } }),
      ),
    onSuccess: (saved) => takeProbe(cache, saved),
  });
}

export function useDeleteProbe() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) =>
      taken(hub.DELETE("/api/v1/probes/{probe_id}", { params: { path: { probe_id: id } } })),
    onSuccess: () => reload(cache, ["probes"]),
  });
}

type Listed = Awaited<ReturnType<typeof load>>;

/** One probe as it is now: in the list too, from which forms begin. */
function takeProbe(cache: QueryClient, probe: Probe): void {
  take(cache, ["probe", probe.id], probe);
  cache.setQueryData<Listed>(
    ["probes", probe.organization_id],
    (known) =>
      known && { ...known, probes: known.probes.map((each) => (each.id === probe.id ? probe : each)) },
  );
  reload(cache, ["probes"]);
}

/** Tries a saved probe now, apart from its history. */
export function useTestProbe() {
  return useMutation({
    mutationFn: (id: string) =>
      taken(hub.POST("/api/v1/probes/{probe_id}/test", { params: { path: { probe_id: id } } })),
  });
}

/** Tries once what is not saved. */
export function useTryProbe(organizationId: string) {
  return useMutation({
    mutationFn: (asked: { probe_id: string | null; kind: string; settings: Record<string, unknown> }) =>
      taken(hub.POST("/api/v1/probes/try", { body: { ...asked, organization_id: organizationId } })),
  });
}
