"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useSearchParams } from "next/navigation";
import { useEffect, useState } from "react";
import { ErrorFace } from "@/ui/faces";
import { Panel } from "@/ui/panel";

/** A fault in one page: the ways to the others stay. */
export default function PageFault({ error, reset }: { error: Error; reset: () => void }) {
  const cache = useQueryClient();
  const search = useSearchParams().toString();
  const [failed] = useState(search);
  // Of the same page, another address may be well.
  useEffect(() => {
    if (search !== failed) reset();
  }, [search, failed, reset]);
  return (
    <Panel>
      <ErrorFace
        problem={error}
        retry={() => {
          // What nobody looks at any more is what the page had: it is loaded anew.
          cache.removeQueries({ type: "inactive" });
          reset();
        }}
      />
    </Panel>
  );
}
