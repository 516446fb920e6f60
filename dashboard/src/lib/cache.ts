/**
 * Two ways to tell the cache of news. In both, an answer that is on its way when the news come is not waited for: it may
 * have been read before them, and would put what was in the place of what is.
 */
import type { QueryClient, QueryKey } from "@tanstack/react-query";

/** This is the newest that is known. */
export function take<T>(cache: QueryClient, queryKey: QueryKey, news: T): void {
  void cache.cancelQueries({ queryKey, exact: true });
  cache.setQueryData<T>(queryKey, news);
}

/** What is known is old: loads it again. */
export function reload(cache: QueryClient, queryKey: QueryKey): void {
  void cache.cancelQueries({ queryKey }).then(() => cache.invalidateQueries({ queryKey }));
}
