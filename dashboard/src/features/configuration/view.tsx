"use client";

import { CircleOff, Eye, FileWarning, KeyRound, Plus, ScanEye, Unplug } from "lucide-react";
import type { Configuration, Server } from "@/lib/api";
import { useNow } from "@/lib/clock";
import { useMe, useServer } from "@/lib/data";
import { useHeld } from "@/lib/fate";
import { forceOf, useChecks, useConfiguration, useSaveConfiguration, useWatched } from "@/lib/standing";
import { useTitle } from "@/lib/title";
import { ago } from "@/lib/units";
import { configurationFields, serverPath, useUrlState } from "@/lib/url";
import { Breadcrumb, SERVERS } from "@/ui/breadcrumb";
import { Button } from "@/ui/button";
import { EmptyFace, ErrorFace, Loading, Refusal, Skeleton } from "@/ui/faces";
import { isMissing, Missing } from "@/ui/missing";
import { Banner, Panel } from "@/ui/panel";
import { StateBadge } from "@/ui/state";
import { Editor } from "./editor";
import { nameOf, otherProblems, type Row, rowsOf, withEntry, withoutEntry } from "./entries";
import { KindPicker } from "./kinds";
import { EntryList } from "./list";
import { RuleList } from "./rules";
import { ForceLine } from "./standing";

export function ConfigurationView() {
  const [{ id }] = useUrlState(configurationFields);
  const server = useServer(id);
  const configuration = useConfiguration(id);
  useWatched(id);
  const name = server.data?.name;
  useTitle(name && `Configuration of ${name}`);

  const failure = server.error ?? (configuration.data ? null : configuration.error);
  if (isMissing(id, failure))
    return (
      <Missing what="server" back={{ label: "your servers", href: "/" }}>
        It may have been deleted, or the address is not complete.
      </Missing>
    );
  if (server.data === undefined || configuration.data === undefined)
    return failure ? (
      <Panel>
        <ErrorFace
          problem={failure}
          retry={() => {
            void server.refetch();
            void configuration.refetch();
          }}
        />
      </Panel>
    ) : (
      <Loading what="the configuration" className="flex max-w-4xl flex-col gap-4">
        <Skeleton className="h-7 w-56" />
        <Skeleton className="h-4 w-80 max-w-full" />
        <Skeleton className="h-64 rounded-xl" />
      </Loading>
    );
  return <Loaded server={server.data} configuration={configuration.data} />;
}

function Loaded({ server, configuration }: { server: Server; configuration: Configuration }) {
  const [{ edit }, change] = useUrlState(configurationFields);
  const me = useMe();
  const checks = useChecks(server.id);
  const role = me.data?.organizations.find((each) => each.id === server.organization_id)?.role;
  const mayChange = role !== undefined && role !== "viewer";
  const rows = rowsOf(configuration, checks.data?.monitors ?? []);
  const close = () => change({ edit: "" }, "push");

  // `new`, `new:http` or `of:db`: a monitor may have any name.
  const [what, ...rest] = edit.split(":");
  const asked = rest.join(":");
  const found = what === "of" ? rows.find((row) => row.entry !== null && row.name === asked) : undefined;
  // Removed by somebody else meanwhile: what is being typed stays.
  const edited = useHeld(edit, found);
  const type = what === "new" ? asked : (edited?.type ?? "");
  const kind = configuration.kinds.find((each) => each.type === type);

  return (
    <div className="flex flex-col gap-4" data-testid="configuration" data-version={configuration.version}>
      <header className="flex flex-col gap-2.5">
        <Breadcrumb
          way={[SERVERS, { label: server.name, href: serverPath(server.id) }]}
          here="Configuration"
        />
        <div className="flex items-center gap-3">
          <h1 className="min-w-0 truncate text-xl font-semibold tracking-tight">
            Configuration of {server.name}
          </h1>
          <StateBadge state={server.state} />
        </div>
        <ForceLine configuration={configuration} server={server} />
      </header>
      <Notices server={server} configuration={configuration} mayChange={mayChange || role === undefined} />
      {!mayChange || edit === "" ? (
        <Overview
          server={server}
          configuration={configuration}
          rows={rows}
          mayChange={mayChange}
          onEdit={(next) => change({ edit: next }, "push")}
        />
      ) : edited?.entry || kind ? (
        <Editor
          key={edit}
          serverId={server.id}
          configuration={configuration}
          kind={kind}
          entry={edited?.entry ?? null}
          problems={edited?.problems ?? []}
          onDone={close}
        />
      ) : what === "new" ? (
        <KindPicker
          kinds={configuration.kinds}
          onChoose={(chosen) => change({ edit: `new:${chosen}` }, "push")}
          onBack={close}
        />
      ) : (
        <Panel>
          <EmptyFace
            icon={<CircleOff aria-hidden />}
            title={`There is no monitor called ${asked}`}
            action={<Button onClick={close}>To all monitors</Button>}
          >
            Somebody may have removed it, or given it another name.
          </EmptyFace>
        </Panel>
      )}
    </div>
  );
}

/** What one has to know before changing anything. */
function Notices({
  server,
  configuration,
  mayChange,
}: {
  server: Server;
  configuration: Configuration;
  mayChange: boolean;
}) {
  const now = useNow(1000);
  const problems = otherProblems(configuration);
  return (
    <>
      {(server.state === "down" || server.state === "late") && (
        <Banner tone={server.state} icon={<Unplug aria-hidden />} testId="stale">
          <strong className="font-medium">Heard {ago(server.last_heartbeat_at, now)}.</strong>{" "}
          <span className="text-ink-2">How its monitors fare is the last that is known.</span>
        </Banner>
      )}
      {configuration.secrets_lost && (
        <Banner tone="down" icon={<KeyRound aria-hidden />} testId="secrets-lost">
          <strong className="font-medium">The hub's own secret was changed.</strong>{" "}
          <span className="text-ink-2">
            Passwords and tokens must be entered again; the agent gets none until then.
          </span>
        </Banner>
      )}
      {problems.length > 0 && (
        <Banner tone="late" icon={<FileWarning aria-hidden />} testId="problems">
          <strong className="font-medium">The agent says:</strong>
          {problems.map((problem) => (
            <span key={problem} className="block break-words">
              {problem}
            </span>
          ))}
        </Banner>
      )}
      {!mayChange && (
        <Banner icon={<Eye aria-hidden />} testId="read-only">
          You may look at the configuration. Ask a member of the organization to change it.
        </Banner>
      )}
    </>
  );
}

function Overview({
  server,
  configuration,
  rows,
  mayChange,
  onEdit,
}: {
  server: Server;
  configuration: Configuration;
  rows: readonly Row[];
  mayChange: boolean;
  onEdit: (edit: string) => void;
}) {
  const save = useSaveConfiguration(server.id);
  const { version, monitors, rules } = configuration;
  return (
    <>
      <Panel>
        <div className="flex min-h-13 flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2">
          <h2 className="text-base font-semibold tracking-tight">Monitors</h2>
          {mayChange && (
            <Button kind="primary" onClick={() => onEdit("new")} data-testid="add-monitor">
              <Plus aria-hidden />
              Add a monitor
            </Button>
          )}
        </div>
        {save.error && <Refusal problem={save.error} className="m-3" />}
        {rows.length === 0 ? (
          <EmptyFace icon={<ScanEye aria-hidden />} title="Nothing is watched yet">
            {configuration.reported_at === null
              ? "The agent has not said yet what it runs. Add a monitor, and it takes it as soon as it is heard."
              : "Add a monitor to have the agent watch something."}
          </EmptyFace>
        ) : (
          <EntryList
            rows={rows}
            awaited={forceOf(configuration) === "awaited"}
            mayChange={mayChange}
            onEdit={(row) => onEdit(`of:${row.name}`)}
            onSwitch={({ entry }) => {
              if (entry === null) return;
              const turned = { ...entry, enabled: entry.enabled === false };
              save.mutate({ version, rules, monitors: withEntry(monitors, nameOf(entry), turned) });
            }}
            onRemove={({ name }) =>
              save.mutateAsync({ version, rules, monitors: withoutEntry(monitors, name) })
            }
          />
        )}
      </Panel>
      {rules.length > 0 && <RuleList rules={rules} />}
    </>
  );
}
