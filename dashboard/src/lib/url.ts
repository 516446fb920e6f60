/** The state of a page that belongs into its address: typed, with defaults that are not written out. */
import { usePathname, useSearchParams } from "next/navigation";
import { useCallback, useMemo } from "react";

export type Field<T> = { read: (raw: string | null) => T; write: (value: T) => string | null };
// biome-ignore lint/suspicious/noExplicitAny: a field of any type; StateOf gives each its own again
type Fields = Record<string, Field<any>>;
export type StateOf<F> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never };

export function text(fallback = ""): Field<string> {
  return { read: (raw) => raw ?? fallback, write: (value) => (value === fallback ? null : value) };
}

/** One of a few words; anything else in the address reads as the fallback. */
export function oneOf<const T extends readonly string[]>(words: T, fallback: T[number]): Field<T[number]> {
  return {
    read: (raw) => (raw !== null && words.includes(raw) ? (raw as T[number]) : fallback),
    write: (value) => (value === fallback ? null : value),
  };
}

/** A whole number, or null where it is absent or nonsense. */
export function whole(): Field<number | null> {
  return {
    read: (raw) => (raw !== null && /^\d{1,15}$/.test(raw) ? Number(raw) : null),
    write: (value) => (value === null ? null : String(Math.round(value))),
  };
}

export function readState<F extends Fields>(fields: F, search: URLSearchParams): StateOf<F> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, field]) => [key, field.read(search.get(key))]),
  ) as StateOf<F>;
}

/** The query of an address with these changes; keys that are no field of the page stay as they are. */
export function writeState<F extends Fields>(
  fields: F,
  search: URLSearchParams,
  changes: Partial<StateOf<F>>,
): string {
  const next = new URLSearchParams(search);
  for (const [key, field] of Object.entries(fields)) {
    if (!(key in changes)) continue;
    const written = field.write(changes[key as keyof typeof changes]);
    if (written === null || written === "") next.delete(key);
    else next.set(key, written);
  }
  const query = next.toString();
  return query ? `?${query}` : "";
}

/** A page's state and a way to change it; `push` leaves a step in the history, the default does not. */
export function useUrlState<F extends Fields>(
  fields: F,
): [StateOf<F>, (changes: Partial<StateOf<F>>, how?: "push" | "replace") => void] {
  const search = useSearchParams();
  const pathname = usePathname();
  const state = useMemo(() => readState(fields, new URLSearchParams(search)), [fields, search]);
  const change = useCallback(
    (changes: Partial<StateOf<F>>, how: "push" | "replace" = "replace") => {
      const path = pathname.endsWith("/") ? pathname : `${pathname}/`;
      const address = path + writeState(fields, new URLSearchParams(window.location.search), changes);
      // The page stays the same one: no need to ask for it again, as the router would. Next follows the history.
      if (how === "push") window.history.pushState(null, "", address);
      else window.history.replaceState(null, "", address);
    },
    [fields, pathname],
  );
  return [state, change];
}

export const serverFields = {
  id: text(),
  /** `auto`: an hour, or less while the server is younger than that. */
  range: oneOf(["auto", "15m", "1h", "3h", "6h", "12h", "24h"], "auto"),
  from: whole(),
  to: whole(),
  /** Words that the charts shown have in their names. */
  charts: text(),
} satisfies Fields;

export const serversFields = {
  q: text(),
  state: oneOf(["all", "up", "late", "down", "new"], "all"),
  sort: text("state"),
} satisfies Fields;

export function serverPath(id: string): string {
  return `/server/${writeState(serverFields, new URLSearchParams(), { id })}`;
}

export const configurationFields = {
  id: text(),
  /** Which entry is being edited: its place in the list, or `new`. */
  edit: text(),
} satisfies Fields;

export function configurationPath(id: string): string {
  return `/server/configuration/${writeState(configurationFields, new URLSearchParams(), { id })}`;
}

export const alertFields = { id: text() } satisfies Fields;

export function alertPath(id: string): string {
  return `/alert/${writeState(alertFields, new URLSearchParams(), { id })}`;
}

export const historyFields = {
  q: text(),
  server: text(),
  rule: text(),
  severity: oneOf(["all", "down", "critical", "warning"], "all"),
  state: oneOf(["all", "open", "firing", "acknowledged", "resolved"], "all"),
  /** How far back; `between` goes by `from` and `to`. */
  time: oneOf(["90d", "30d", "7d", "24h", "between"], "90d"),
  from: whole(),
  to: whole(),
} satisfies Fields;

export function historyPath(chosen: Partial<StateOf<typeof historyFields>>): string {
  return `/alerts/history/${writeState(historyFields, new URLSearchParams(), chosen)}`;
}

export const probesFields = {
  q: text(),
  state: oneOf(["all", "up", "degraded", "down", "unknown"], "all"),
  edit: text(),
} satisfies Fields;

export const probeFields = { id: text(), range: oneOf(["24h", "7d", "30d", "90d"], "24h") } satisfies Fields;

export function probePath(id: string): string {
  return `/probe/${writeState(probeFields, new URLSearchParams(), { id })}`;
}

/** Which organization is looked at: empty, the first. */
export const organizationFields = { organization: text() } satisfies Fields;

/** Which one of a list is being changed: its id, or `new`; `of` says what the new one is to be like. */
export const editFields = { edit: text(), of: text() } satisfies Fields;

/** The same of rules; a new one may be for one server. */
export const ruleFields = { ...editFields, server: text() } satisfies Fields;

/** Where the rule of this name is adapted to one server. */
export function adaptPath(rule: string, server: string): string {
  return `/rules/${writeState(ruleFields, new URLSearchParams(), { edit: "new", of: rule, server })}`;
}

const HERE = "http://here";

/** Where to go after signing in: a path of this site only, whatever the address says, and however browsers read it. */
export function safeNext(raw: string | null): string {
  // Browsers drop tabs and line ends out of addresses, and take a backslash for a slash.
  if (!raw?.startsWith("/") || /[\\\s\p{Cc}]/u.test(raw) || raw.startsWith("/sign-in")) return "/";
  return URL.canParse(raw, HERE) && new URL(raw, HERE).origin === HERE ? raw : "/";
}
