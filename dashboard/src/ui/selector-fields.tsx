/** Which alerts are meant: servers and tags add up, the rule narrows; nothing chosen means all. */
"use client";

import type { Selector } from "@/lib/api";
import { useServers } from "@/lib/data";
import { useRules } from "@/lib/telling";
import { Several, Suggested, Words } from "./inputs";

export function SelectorFields({
  organizationId,
  what,
  onChange,
}: {
  organizationId: string;
  what: Selector;
  onChange: (what: Selector) => void;
}) {
  const servers = (useServers().data ?? []).filter((server) => server.organization_id === organizationId);
  const rules = useRules(organizationId).data;
  const names = [...(rules?.rules ?? []), ...(rules?.defaults ?? [])].map(({ rule }) => rule.name);
  const gone = what.servers.filter((id) => !servers.some((server) => server.id === id));
  return (
    <>
      {(servers.length > 0 || gone.length > 0) && (
        <Several
          label="Servers"
          hint="None chosen: all of them."
          chosen={what.servers}
          onChange={(chosen) => onChange({ ...what, servers: chosen })}
          options={[
            ...servers.map(({ id, name }) => ({ value: id, label: name })),
            ...gone.map((id) => ({ value: id, label: "a server that is gone" })),
          ]}
        />
      )}
      <Words
        label="Tags"
        hint="Servers that have one of them, too. Enter or a comma ends a tag."
        words={what.tags}
        onChange={(tags) => onChange({ ...what, tags })}
        known={[...new Set(servers.flatMap(({ tags }) => tags))].sort()}
      />
      <Suggested
        label="Rule"
        hint="A rule's name, or a pattern with *. Empty: every rule."
        value={what.rule}
        onChange={(rule) => onChange({ ...what, rule })}
        known={[...new Set(names)].sort().map((value) => ({ value }))}
        placeholder="every rule"
      />
    </>
  );
}
