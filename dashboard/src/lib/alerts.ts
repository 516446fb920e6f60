/** Alerts: those that are open, their history, and one with all that happened; kept fresh by the live stream. */
import {
  keepPreviousData,
  type QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { type Alert, type AlertDetail, type AlertState, hub, type Severity, taken } from "./api";
import { reload, take } from "./cache";
import { hubNow, learnHubTime } from "./clock";
import { meanwhile } from "./live";

const OPEN = ["alerts", "open"] as const;
const PAGE = 200;
/** So many open ones are shown; where more are, they are counted as "more". */
const PAGES = 5;
const HISTORY = ["alerts", "history"] as const;
const HISTORY_PAGE = 50;
const LOOK_MS = 700;

export type Open = { alerts: Alert[]; more: boolean };

async function loadOpen({ signal }: { signal: AbortSignal }): Promise<Open> {
  const [open, news] = await meanwhile(() => loadPages(signal));
  // What was told while this was loaded may be newer.
  return {
    ...open,
    alerts: news.reduce(
      (alerts, event) => (event.type === "alert" ? withAlert(alerts, event.data) : alerts),
      open.alerts,
    ),
  };
}

async function loadPages(signal: AbortSignal): Promise<Open> {
  const alerts: Alert[] = [];
  let before = "";
  for (let page = 0; page < PAGES; page += 1) {
    const answer = await taken(
      hub.GET("/api/v1/alerts", { params: { query: { state: "open", limit: PAGE, before } }, signal }),
    );
    learnHubTime(answer.hub_time);
    alerts.push(...answer.alerts);
    if (answer.next === null) return { alerts, more: false };
    before = answer.next;
  }
  return { alerts, more: true };
}

export function useOpenAlerts() {
  return useQuery({ queryKey: OPEN, queryFn: loadOpen, refetchInterval: 60_000 });
}

const byServer = new WeakMap<readonly Alert[], Map<string, Alert[]>>();
const NONE: readonly Alert[] = [];

/** The open alerts of one server, gravest first. A list of servers asks for each: they are sorted out once. */
export function useOpenOf(serverId: string): readonly Alert[] {
  const { data } = useOpenAlerts();
  return data === undefined ? NONE : (sortedOut(data.alerts).get(serverId) ?? NONE);
}

function sortedOut(alerts: readonly Alert[]): Map<string, Alert[]> {
  const known = byServer.get(alerts);
  if (known) return known;
  const found = new Map<string, Alert[]>();
  for (const alert of [...alerts].sort(gravestFirst)) {
    if (alert.server_id === null) continue;
    const own = found.get(alert.server_id);
    if (own) own.push(alert);
    else found.set(alert.server_id, [alert]);
  }
  byServer.set(alerts, found);
  return found;
}

export const GRAVITY: Record<Severity, number> = { down: 0, critical: 1, warning: 2 };

/** Down, critical, warning; within these what nobody has taken on yet first, then the newest. */
export function gravestFirst(a: Alert, b: Alert): number {
  return (
    GRAVITY[a.severity] - GRAVITY[b.severity] ||
    Number(a.state === "acknowledged") - Number(b.state === "acknowledged") ||
    b.detected_at - a.detected_at ||
    a.id.localeCompare(b.id)
  );
}

export type Wanted = {
  state: "all" | "open" | AlertState;
  severity: Severity | "all";
  server: string;
  rule: string;
  text: string;
};

/** Alerts of old and of now, newest first, page by page. */
export function useAlertHistory(wanted: Wanted, span: Span) {
  return useInfiniteQuery({
    queryKey: [...HISTORY, wanted, span],
    queryFn: async ({ signal, pageParam }: { signal: AbortSignal; pageParam: string }) => {
      const since = "lengthMs" in span ? Math.round(hubNow()) - span.lengthMs : span.since;
      const to = "lengthMs" in span ? null : span.to;
      const answer = await taken(
        hub.GET("/api/v1/alerts", {
          params: {
            query: {
              state: wanted.state,
              ...(wanted.severity === "all" ? {} : { severity: [wanted.severity] }),
              ...(wanted.server ? { server: wanted.server } : {}),
              ...(wanted.rule ? { rule: wanted.rule } : {}),
              ...(wanted.text.trim() ? { text: wanted.text.trim() } : {}),
              ...(since === null ? {} : { since }),
              ...(to === null ? {} : { to }),
              before: pageParam,
              limit: HISTORY_PAGE,
            },
          },
          signal,
        }),
      );
      learnHubTime(answer.hub_time);
      return answer;
    },
    initialPageParam: "",
    getNextPageParam: (last) => last.next,
    placeholderData: keepPreviousData,
  });
}

export type Span = { lengthMs: number } | { since: number | null; to: number | null };

export function useAlert(id: string) {
  return useQuery({
    queryKey: ["alert", id],
    queryFn: ({ signal }) =>
      taken(hub.GET("/api/v1/alerts/{alert_id}", { params: { path: { alert_id: id } }, signal })),
    // The live stream brings what happens; a message that is under way is looked for too.
    refetchInterval: ({ state: { data } }) => (data && data.alert.state !== "resolved" ? 15_000 : 60_000),
    enabled: id !== "",
  });
}

const waiting = new WeakSet<QueryClient>();

/** An alert is another now: told by the live stream, at most once a second each. */
export function takeAlert(cache: QueryClient, alert: Alert): void {
  cache.setQueryData<Open>(OPEN, (known) => known && { ...known, alerts: withAlert(known.alerts, alert) });
  cache.setQueryData<AlertDetail>(["alert", alert.id], (known) => known && { ...known, alert });
  reload(cache, ["alert", alert.id]);
  reloadHistory(cache);
}

/**
 * A hundred servers may be lost at once: their history is loaded again once. Pages that are on their way are waited for: a
 * person has asked for them, or they would never arrive while there is so much news.
 */
function reloadHistory(cache: QueryClient): void {
  if (waiting.has(cache)) return;
  waiting.add(cache);
  const again = () => {
    if (cache.isFetching({ queryKey: HISTORY }) > 0) {
      setTimeout(again, LOOK_MS);
      return;
    }
    waiting.delete(cache);
    void cache.invalidateQueries({ queryKey: HISTORY });
  };
  setTimeout(again, LOOK_MS);
}

/** The open alerts after one of them has changed, newest first. */
export function withAlert(alerts: readonly Alert[], alert: Alert): Alert[] {
  const others = alerts.filter((each) => each.id !== alert.id);
  if (alert.state === "resolved") return others;
  const place = others.findIndex((each) => each.detected_at <= alert.detected_at);
  return place < 0 ? [...others, alert] : [...others.slice(0, place), alert, ...others.slice(place)];
}

export type Deed = "acknowledge" | "comment" | "resolve";

/** What a person does about an alert. */
export function useDeed(id: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ deed, text }: { deed: Deed; text: string }) => {
      const asked = { params: { path: { alert_id: id } }, body: { text } };
      if (deed === "acknowledge") return taken(hub.POST("/api/v1/alerts/{alert_id}/acknowledge", asked));
      if (deed === "comment") return taken(hub.POST("/api/v1/alerts/{alert_id}/comment", asked));
      return taken(hub.POST("/api/v1/alerts/{alert_id}/resolve", asked));
    },
    onSettled: () => {
      reload(cache, ["alert", id]);
      reload(cache, ["alerts"]);
    },
  });
}

/** What a link in a message leads to. Loading it changes nothing. */
export function useLinkedAlert(key: string, token: string) {
  return useQuery({
    queryKey: ["linked", key, token],
    queryFn: async ({ signal }) => {
      const answer = await taken(
        hub.GET("/api/v1/alerts/linked", { params: { query: { key, token } }, signal }),
      );
      learnHubTime(answer.hub_time);
      return answer;
    },
    refetchInterval: 15_000,
    enabled: key !== "" && token !== "",
  });
}

export function useAcknowledgeByLink(key: string, token: string) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (name: string) => taken(hub.POST("/api/v1/alerts/linked", { body: { key, token, name } })),
    onSuccess: (linked) => take(cache, ["linked", key, token], linked),
  });
}

/** How long it took from when alerts became true until somebody was told, over 30 days. */
export function useLatency(organizationId: string) {
  return useQuery({
    queryKey: ["alerts", "latency", organizationId],
    queryFn: ({ signal }) =>
      taken(
        hub.GET("/api/v1/alerts/latency", {
          params: { query: { organization_id: organizationId, days: 30 } },
          signal,
        }),
      ),
    refetchInterval: 60_000,
  });
}
