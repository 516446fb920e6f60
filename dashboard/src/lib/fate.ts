/** What becomes of a thing while a form that changes it is open: somebody else saves it too, or deletes it. */
import { useRef, useState } from "react";
import { Problem } from "./api";

export type Fate = "kept" | "changed" | "gone";

/**
 * `base` is the mark of what the draft was made from, null of a new thing; `live` that of what is stored now, null once
 * it is deleted. A mark, such as a version, is another one whenever the thing is.
 */
export function fateOf<Mark>(base: Mark | null, live: Mark | null, own: boolean): Fate {
  if (base === null || base === live) return "kept";
  if (live === null) return "gone";
  // What is on its way, or has just arrived, is one's own.
  return own ? "kept" : "changed";
}

type Save = { isPending: boolean; isSuccess: boolean; error: Error | null; reset: () => void };

/** The fate of what a form changes, and the mark that is to be saved on: that of what the person has seen. */
export function useFate<Mark>(seen: Mark | null, live: Mark | null, save: Save) {
  const [base, setBase] = useState(seen);
  const fate = fateOf(base, live, save.isPending || save.isSuccess);
  const said = fate === "changed" && save.error instanceof Problem && save.error.status === 409;
  return {
    base,
    fate,
    /** What is to be told of the last try, besides the fate. */
    problem: said ? null : save.error,
    /** What is stored now has been seen: the next save takes its place. */
    keep: () => {
      save.reset();
      setBase(live);
    },
  };
}

/** What is being changed; once it is found no more, as it was last, so that what is being typed stays. */
export function useHeld<T>(edit: string, found: T | undefined): T | undefined {
  const held = useRef<{ edit: string; item: T } | null>(null);
  if (found !== undefined) held.current = { edit, item: found };
  return found ?? (held.current?.edit === edit ? held.current.item : undefined);
}
