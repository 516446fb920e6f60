/** Enrolment keys: who may bring servers. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { hub, taken } from "./api";

export function useEnrolmentKeys(organizationId: string | undefined) {
  return useQuery({
    queryKey: ["enrolment-keys", organizationId],
    queryFn: ({ signal }) =>
      taken(
        hub.GET("/api/v1/enrolment-keys", {
          params: { query: { organization_id: organizationId ?? "" } },
          signal,
        }),
      ),
    enabled: organizationId !== undefined,
  });
}

export function useMakeKey() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (asked: { organization_id: string; name: string }) =>
      taken(hub.POST("/api/v1/enrolment-keys", { body: asked })),
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["enrolment-keys"] }),
  });
}

export function useRevokeKey() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) =>
      taken(hub.DELETE("/api/v1/enrolment-keys/{key_id}", { params: { path: { key_id: id } } })),
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["enrolment-keys"] }),
  });
}
