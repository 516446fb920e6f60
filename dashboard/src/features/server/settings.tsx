"use client";

import Link from "next/link";
import { useState } from "react";
import type { Server } from "@/lib/api";
import { useServerSettings, useServers } from "@/lib/data";
import { useRules } from "@/lib/telling";
import { adaptPath } from "@/lib/url";
import { ruleInWords } from "@/lib/words";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Refusal } from "@/ui/faces";
import { Switch, Words } from "@/ui/inputs";

/** What a person sets on a server: what rules, policies and silences name it by, and how closely it is watched. */
export function ServerSettings({ server, onClose }: { server: Server; onClose: () => void }) {
  const save = useServerSettings();
  const servers = useServers().data ?? [];
  const [tags, setTags] = useState(server.tags);
  const [fast, setFast] = useState(server.fast);
  return (
    <Dialog open onClose={onClose} title="Tags and watching">
      <form
        className="mt-4 flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate({ id: server.id, tags, fast }, { onSuccess: onClose });
        }}
      >
        <Words
          label="Tags"
          hint="Rules, policies and silences can name servers by them. Enter or a comma ends one."
          words={tags}
          onChange={setTags}
          known={[...new Set(servers.flatMap((each) => each.tags))].sort()}
        />
        <Switch
          label="Watch it fast"
          hint="It sends heartbeats every few seconds, so that its silence is told within 20 seconds instead of two minutes."
          checked={fast}
          onChange={setFast}
        />
        <Thresholds server={server} />
        {save.error && <Refusal problem={save.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={save.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** When its silence becomes an alert: rules, which can be adapted to this server alone. */
function Thresholds({ server }: { server: Server }) {
  const rules = useRules(server.organization_id).data;
  if (!rules) return null;
  const own = rules.rules.filter(({ rule, scope, server_id, tag }) => {
    if (!rule.silent || scope === "organization") return Boolean(rule.silent);
    return scope === "tag" ? server.tags.includes(tag) : server_id === server.id;
  });
  const names = new Set(own.map(({ rule }) => rule.name));
  const given = rules.defaults
    .map(({ rule }) => rule)
    .filter(({ silent, name }) => silent && !names.has(name));
  return (
    <div>
      <p className="mb-1.5 text-sm font-medium">When its silence becomes an alert</p>
      <ul className="flex flex-col gap-1 text-sm">
        {own.map(({ id, rule }) => (
          <li key={id} className="flex justify-between gap-3">
            <span className="text-ink-2">
              {rule.name}: {rule.enabled ? ruleInWords(rule) : "off"}
            </span>
            <Link href={`/rules/?edit=${id}`} className="font-medium text-accent-ink hover:underline">
              Change
            </Link>
          </li>
        ))}
        {given.map((rule) => (
          <li key={rule.name} className="flex justify-between gap-3">
            <span className="text-ink-2">
              {rule.name}: {ruleInWords(rule)}
            </span>
            <Link
              href={adaptPath(rule.name, server.id)}
              className="font-medium text-accent-ink hover:underline"
              aria-label={`Adapt ${rule.name} to this server`}
            >
              Adapt
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}
