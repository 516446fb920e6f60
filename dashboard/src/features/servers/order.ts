/** Which servers are shown, and in which order. */
import type { Server, ServerState } from "@/lib/api";
import { STATES } from "@/ui/state";

/** Titles of the headlines, as the servers bring them: the columns of the table. */
export function titlesOf(servers: readonly Server[]): string[] {
  return [...new Set(servers.flatMap((server) => server.headlines.map((headline) => headline.title)))].slice(
    0,
    4,
  );
}

export function matching(servers: readonly Server[], text: string, state: ServerState | "all"): Server[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return servers.filter((server) => {
    if (state !== "all" && server.state !== state) return false;
    const said =
      `${server.name} ${server.tags.join(" ")} ${server.host["os.description"] ?? ""} ${server.host["host.arch"] ?? ""}`.toLowerCase();
    return words.every((word) => said.includes(word));
  });
}

const byName = (a: Server, b: Server) => a.name.localeCompare(b.name, "en", { numeric: true });

/** Trouble on top: what is down, then what is late, then what has failing checks, then the rest. */
function trouble({ state, checks }: Server): number {
  if (state === "down") return 0;
  if (state === "late") return 1;
  return checks.down > 0 ? 2 : checks.degraded > 0 ? 3 : 4;
}

/** `state` (worst first), `name`, `heard`, or a headline's title (highest first); `-` before it turns it round. */
export function sorted(servers: readonly Server[], sort: string): Server[] {
  const turned = sort.startsWith("-");
  const key = turned ? sort.slice(1) : sort;
  const compare = (a: Server, b: Server): number => {
    if (key === "name") return byName(a, b);
    if (key === "heard") return (b.last_heartbeat_at ?? 0) - (a.last_heartbeat_at ?? 0);
    if (key === "state")
      return (
        trouble(a) - trouble(b) ||
        b.checks.down - a.checks.down ||
        b.checks.degraded - a.checks.degraded ||
        STATES[a.state].order - STATES[b.state].order
      );
    const value = (server: Server) =>
      server.headlines.find((each) => each.title === key)?.value ?? Number.NEGATIVE_INFINITY;
    return value(b) > value(a) ? 1 : value(b) < value(a) ? -1 : 0;
  };
  return [...servers].sort((a, b) => (turned ? -compare(a, b) : compare(a, b)) || byName(a, b));
}
