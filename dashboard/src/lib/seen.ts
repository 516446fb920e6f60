import { type RefObject, useEffect, useRef, useState } from "react";

/** Whether an element has come near the viewport; stays true, so that what was loaded stays. */
export function useSeen<T extends Element>(margin = "200px"): [RefObject<T | null>, boolean] {
  const element = useRef<T>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (seen || element.current === null) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
      },
      { rootMargin: margin },
    );
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [seen, margin]);
  return [element, seen];
}
