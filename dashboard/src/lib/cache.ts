/**
 * Ways to tell the cache of news. In each, an answer that is on its way when the news come is not waited for: it may
 * have been read before them, and would put what was in the place of what is.
 */
import type { Query, QueryClient, QueryKey } from "@tanstack/react-query";
import { Problem } from "./api";

/** This is the newest that is known. */
export function take<T>(cache: QueryClient, queryKey: QueryKey, news: T): void {
  void cache.cancelQueries({ queryKey, exact: true });
  cache.setQueryData<T>(queryKey, news);
}

/** What is known is old: loads it again. */
export function reload(cache: QueryClient, queryKey: QueryKey): void {
  void cache.cancelQueries({ queryKey }).then(() => cache.invalidateQueries({ queryKey }));
}

/** The same of all whose key begins with such a word. */
export function reloadKinds(cache: QueryClient, wanted: (kind: string) => boolean): void {
  const predicate = ({ queryKey: [kind] }: Query) => wanted(String(kind));
  void cache.cancelQueries({ predicate }).then(() => cache.invalidateQueries({ predicate }));
}

/** A save was refused since somebody else was faster: what they saved, or that they deleted it, is needed to decide. */
export function lookAgain(cache: QueryClient, problem: unknown, queryKey: QueryKey): void {
  if (problem instanceof Problem && (problem.status === 409 || problem.status === 404))
    reload(cache, queryKey);
}
