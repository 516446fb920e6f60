"use client";

import { useEffect } from "react";

/** Names the page in the browser's tab, once the name is there. */
export function useTitle(name: string | undefined) {
  useEffect(() => {
    if (name) document.title = `${name} · Twinwatch`;
  }, [name]);
}
