"use client";

import {
  Box,
  Cpu,
  Ellipsis,
  MemoryStick,
  PencilLine,
  ScanEye,
  SlidersHorizontal,
  SlidersVertical,
  TagIcon,
  Terminal,
  Timer,
  Trash2,
  Zap,
} from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { type ReactNode, useState } from "react";
import type { Server } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { useDelete, useMe, useRename } from "@/lib/data";
import { ago, date, duration, measure, moment, say } from "@/lib/units";
import { configurationPath } from "@/lib/url";
import { Breadcrumb, SERVERS } from "@/ui/breadcrumb";
import { Button } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { Refusal } from "@/ui/faces";
import { Field } from "@/ui/field";
import { Menu, MenuItem, MenuLine } from "@/ui/menu";
import { StateBadge } from "@/ui/state";
import { Tag } from "@/ui/tag";
import { ServerSettings } from "./settings";

export function ServerHeader({ server }: { server: Server }) {
  const now = useNow(1000);
  return (
    <header className="flex flex-col gap-2.5">
      <Breadcrumb way={[SERVERS]} here={server.name} />
      <div className="flex items-center gap-3">
        <h1 className="min-w-0 truncate text-xl font-semibold tracking-tight" title={server.name}>
          {server.name}
        </h1>
        <StateBadge state={server.state} />
        <span
          className="text-sm text-ink-3 max-sm:hidden"
          title={server.last_heartbeat_at === null ? undefined : moment(server.last_heartbeat_at)}
        >
          {server.last_heartbeat_at === null
            ? "not heard yet"
            : `heard ${ago(server.last_heartbeat_at, now)}`}
        </span>
        <div className="ml-auto flex items-center gap-2">
          <Button asChild>
            <Link href={configurationPath(server.id)} data-testid="to-configuration">
              <SlidersHorizontal aria-hidden />
              <span className="max-sm:sr-only">Configuration</span>
            </Link>
          </Button>
          <ServerMenu server={server} />
        </div>
      </div>
      <Facts server={server} />
      {(server.tags.length > 0 || server.fast) && (
        <div className="flex flex-wrap gap-1.5" data-testid="tags">
          {server.tags.map((tag) => (
            <Tag key={tag} icon={<TagIcon aria-hidden />}>
              {tag}
            </Tag>
          ))}
          {server.fast && (
            <Tag icon={<Zap aria-hidden />} title="It sends heartbeats every few seconds">
              watched fast
            </Tag>
          )}
        </div>
      )}
    </header>
  );
}

/** What the host is. Only what the agent could find out is shown. */
function Facts({ server }: { server: Server }) {
  const { host } = server;
  const facts: { key: string; icon: ReactNode; text: ReactNode; title: string }[] = [];
  const add = (key: string, icon: ReactNode, text: ReactNode, title: string) =>
    facts.push({ key, icon, text, title });
  const os = host["os.description"] ?? host["os.type"];
  if (os)
    add(
      "os",
      <Terminal aria-hidden />,
      os,
      [os, host["os.kernel.release"]].filter(Boolean).join(", kernel "),
    );
  const cores = host["host.cpu.count"];
  const model = host["host.cpu.model.name"];
  if (cores || model)
    add(
      "cpu",
      <Cpu aria-hidden />,
      [cores && `${cores} ${cores === "1" ? "core" : "cores"}`, host["host.arch"]]
        .filter(Boolean)
        .join(" · "),
      model ?? "Processor",
    );
  const memory = Number(host["host.memory.bytes"]);
  if (memory > 0) add("memory", <MemoryStick aria-hidden />, say("By", memory), "Memory");
  const place = [host["host.virtualization"], host["container.runtime"]].filter(Boolean).join(" · ");
  if (place) add("place", <Box aria-hidden />, place, "Runs in");
  const skew = server.clock_skew_seconds;
  if (skew !== null && skew !== undefined && Math.abs(skew) >= 2)
    add(
      "skew",
      <Timer aria-hidden />,
      <span className="text-late">
        clock {measure("s", Math.abs(skew)).number} s {skew > 0 ? "ahead" : "behind"}
      </span>,
      "This server's clock differs from the hub's",
    );
  add(
    "agent",
    <ScanEye aria-hidden />,
    `agent ${server.agent_version}`,
    `Registered ${date(server.registered_at)}`,
  );
  return (
    <ul className="flex flex-wrap gap-x-4 gap-y-1 text-sm text-ink-2" aria-label="About the host">
      {facts.map(({ key, icon, text, title }) => (
        <li
          key={key}
          title={title}
          className="flex min-w-0 items-center gap-1.5 [&>svg]:size-3.5 [&>svg]:shrink-0 [&>svg]:text-ink-3"
        >
          {icon}
          <span className="truncate">{text}</span>
        </li>
      ))}
    </ul>
  );
}

function ServerMenu({ server }: { server: Server }) {
  const router = useRouter();
  const me = useMe();
  const role = me.data?.organizations.find((each) => each.id === server.organization_id)?.role;
  const rules = role === "owner" || role === "admin";
  const [open, setOpen] = useState<"rename" | "settings" | "delete" | null>(null);
  const remove = useDelete();
  if (role === undefined || role === "viewer") return null;
  return (
    <>
      <div>
        <Menu
          label={`Actions for ${server.name}`}
          trigger={
            <Button size="icon" aria-label="Actions" data-testid="server-menu">
              <Ellipsis aria-hidden />
            </Button>
          }
        >
          <MenuItem onSelect={() => setOpen("rename")}>
            <PencilLine aria-hidden /> Rename
          </MenuItem>
          <MenuItem onSelect={() => setOpen("settings")}>
            <SlidersVertical aria-hidden /> Tags and watching
          </MenuItem>
          {rules && (
            <>
              <MenuLine />
              <MenuItem danger onSelect={() => setOpen("delete")}>
                <Trash2 aria-hidden /> Delete
              </MenuItem>
            </>
          )}
        </Menu>
      </div>
      <Rename key={open} server={server} open={open === "rename"} onClose={() => setOpen(null)} />
      {open === "settings" && <ServerSettings server={server} onClose={() => setOpen(null)} />}
      <Confirm
        open={open === "delete"}
        onClose={() => setOpen(null)}
        title={`Delete ${server.name}?`}
        description={
          <>
            Its figures go with it and do not come back, and its agent is turned away from now on.
            {server.last_heartbeat_at !== null && server.state === "up" && (
              <>
                {" "}
                It was heard {duration((Date.now() - server.last_heartbeat_at) / 1000)} ago, so it is still
                running.
              </>
            )}
          </>
        }
        action="Delete the server"
        run={async () => {
          await remove.mutateAsync(server.id);
          router.replace("/");
        }}
      />
    </>
  );
}

function Rename({ server, open, onClose }: { server: Server; open: boolean; onClose: () => void }) {
  const rename = useRename();
  return (
    <Dialog open={open} onClose={onClose} title="Rename the server">
      <form
        className="mt-4 flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          const name = String(new FormData(event.currentTarget).get("name")).trim();
          if (name === server.name) onClose();
          else rename.mutate({ id: server.id, name }, { onSuccess: onClose });
        }}
      >
        <Field
          label="Name"
          name="name"
          defaultValue={server.name}
          required
          maxLength={100}
          autoFocus
          autoComplete="off"
          onFocus={(event) => event.target.select()}
          hint="Only in Twinwatch; the host keeps its own name."
        />
        {rename.error && <Refusal problem={rename.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={rename.isPending}>
            Rename
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
