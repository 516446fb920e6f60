"use client";

import { ArrowLeft } from "lucide-react";
import { type FormEvent, useMemo, useRef, useState } from "react";
import { type Configuration, type MonitorEntry, type MonitorKind, Problem } from "@/lib/api";
import { useSaveConfiguration } from "@/lib/standing";
import { count, counted, spelled } from "@/lib/units";
import { Button } from "@/ui/button";
import { Changed } from "@/ui/changed";
import { Refusal } from "@/ui/faces";
import { Fields } from "@/ui/form/compound";
import { type DraftOf, draftOfFields, optionsOf, UNKNOWN_KIND } from "@/ui/form/draft";
import { type Field, fieldsOf, type Json } from "@/ui/form/schema";
import { Panel } from "@/ui/panel";
import { askedAgain, besideEntry, faultsOf, freeName, nameOf, withEntry } from "./entries";

/** One monitor being added or changed. What is typed stays until it is saved or given up, whatever the hub answers. */
export function Editor({
  serverId,
  configuration,
  kind,
  entry,
  problems,
  onDone,
}: {
  serverId: string;
  configuration: Configuration;
  /** Undefined: a type that this agent does not have. */
  kind: MonitorKind | undefined;
  /** What is changed; null: a new one. */
  entry: MonitorEntry | null;
  problems: readonly string[];
  onDone: () => void;
}) {
  const form = useRef<HTMLFormElement>(null);
  const save = useSaveConfiguration(serverId);
  // The version that the person has seen: one that came meanwhile is not overwritten unasked.
  const [base, setBase] = useState(configuration.version);
  const type = kind?.type ?? entry?.type ?? "";
  const taken = configuration.monitors.map(nameOf).filter((name) => entry === null || name !== nameOf(entry));
  const general = useMemo(() => generalFields(type, kind), [type, kind]);
  const fields = useMemo(() => (kind ? fieldsOf(kind.options) : UNKNOWN_KIND), [kind]);
  const [first] = useState(() => draftsOf(entry, general, fields, kind, freeName(type, taken)));
  const [drafts, setDrafts] = useState(first);
  const [tried, setTried] = useState(false);

  const read = entryOf(type, general, fields, kind, drafts, entry?.enabled ?? true);
  const name = nameOf(read.entry);
  if (taken.includes(name)) read.faults.set("name", `There is another monitor called ${name}`);
  // The agent's word stands beside its field until there is a newer one of the form's own.
  const again = save.error ? askedAgain(save.error.message) : [];
  const faults = new Map([...faultsOf(problems), ...again, ...(tried ? read.faults : [])]);
  const conflict = save.error instanceof Problem && save.error.status === 409;
  // What is on its way, or has just arrived, is one's own.
  const overtaken = configuration.version > base && !save.isPending && !save.isSuccess;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (read.faults.size > 0) {
      // After the faults have been drawn, to the first of them.
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
      return;
    }
    const { monitors, rules } = configuration;
    const wanted = withEntry(monitors, entry && nameOf(entry), read.entry);
    save.mutate({ version: base, monitors: wanted, rules }, { onSuccess: onDone });
  };

  const title = kind?.title ?? type;
  return (
    <form
      ref={form}
      noValidate
      onSubmit={submit}
      aria-label={entry ? `Change ${nameOf(entry)}` : `Add ${title}`}
    >
      <Button kind="quiet" className="-ml-2 mb-2" onClick={onDone}>
        <ArrowLeft aria-hidden />
        All monitors
      </Button>
      <Panel className="max-w-3xl">
        <div className="border-b border-line px-4 py-3 sm:px-5">
          <h2 className="text-lg font-semibold tracking-tight">{entry ? nameOf(entry) : `Add: ${title}`}</h2>
          <p className="text-sm text-pretty text-ink-2">
            {kind
              ? kind.help
              : `This agent has no monitor of the type ${type}: its options are shown as they are.`}
          </p>
        </div>
        <div className="flex flex-col gap-6 px-4 py-4 sm:px-5">
          {problems.length > 0 && (
            <ul
              aria-label="What the agent says"
              data-testid="entry-problems"
              className="rounded-lg border border-late/30 bg-late/9 px-3 py-2 text-sm"
            >
              {problems.map((problem) => (
                <li key={problem} className="break-words">
                  {besideEntry(problem)}
                </li>
              ))}
            </ul>
          )}
          <section aria-label="Options" className="flex flex-col gap-4">
            {fields.length === 0 ? (
              <p className="text-sm text-ink-3">This monitor has no options of its own.</p>
            ) : (
              <Fields
                fields={fields}
                draft={drafts.options}
                onChange={(options) => setDrafts({ ...drafts, options })}
                place="options"
                faults={faults}
              />
            )}
          </section>
          <section aria-label="In general" className="border-t border-line pt-4">
            <h3 className="mb-3 text-xs font-medium text-ink-3">In general</h3>
            <Fields
              fields={general}
              draft={drafts.general}
              onChange={(next) => setDrafts({ ...drafts, general: next })}
              place=""
              faults={faults}
            />
          </section>
        </div>
        <div className="flex flex-col gap-3 border-t border-line px-4 py-3 sm:px-5">
          {overtaken && (
            <Changed
              what="configuration"
              by={configuration.updated_by}
              at={configuration.updated_at}
              onKeep={() => {
                save.reset();
                setBase(configuration.version);
              }}
              onReload={onDone}
            >
              It is version {count(configuration.version)} now.
            </Changed>
          )}
          {save.error && !(conflict && overtaken) && <Refusal problem={save.error} />}
          {tried && read.faults.size > 0 && (
            <p role="alert" className="text-sm font-medium text-down">
              {read.faults.size === 1 ? "One field needs" : `${counted(read.faults.size, "field")} need`}{" "}
              another look.
            </p>
          )}
          <div className="flex items-center justify-end gap-2">
            <span className="mr-auto text-xs text-ink-3">
              Saved as version {count(Math.max(base, configuration.version) + 1)}
            </span>
            <Button onClick={onDone}>Cancel</Button>
            <Button
              type="submit"
              kind="primary"
              busy={save.isPending}
              disabled={overtaken}
              data-testid="save"
            >
              {entry ? "Save" : "Add the monitor"}
            </Button>
          </div>
        </div>
      </Panel>
    </form>
  );
}

type Drafts = { general: DraftOf<"fields">; options: DraftOf<"fields"> };

/** What every monitor has beside its own options. */
function generalFields(type: string, kind: MonitorKind | undefined): Field[] {
  return fieldsOf({
    type: "object",
    properties: {
      name: {
        type: "string",
        title: "Name",
        description: "Tells two of one type apart. Its checks and figures bear it.",
        maxLength: 100,
        default: type,
      },
      interval: {
        type: "string",
        format: "duration",
        title: "Interval",
        description: "How often it looks, from 5s to 1h.",
        default: kind && kind.interval_seconds > 0 ? spelled(kind.interval_seconds) : "the monitor's own",
      },
      timeout: {
        type: "string",
        format: "duration",
        title: "Timeout",
        description: "What one look may take before it counts as failed.",
        default: "the monitor's own",
      },
    },
  });
}

function draftsOf(
  entry: MonitorEntry | null,
  general: readonly Field[],
  fields: readonly Field[],
  kind: MonitorKind | undefined,
  freeName: string,
): Drafts {
  const given = (text: string) => text || undefined;
  const known = entry
    ? { name: given(entry.name), interval: given(entry.interval), timeout: given(entry.timeout) }
    : { name: given(freeName) };
  const options = (entry?.options ?? {}) as Record<string, Json>;
  return {
    general: draftOfFields(
      general,
      Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)) as Record<
        string,
        Json
      >,
    ),
    options: draftOfFields(fields, kind ? options : { options }),
  };
}

function entryOf(
  type: string,
  general: readonly Field[],
  fields: readonly Field[],
  kind: MonitorKind | undefined,
  drafts: Drafts,
  enabled: boolean,
) {
  const about = optionsOf(general, drafts.general);
  const own = optionsOf(fields, drafts.options, "options");
  const text = (key: string) => String(about.options[key] ?? "").trim();
  const options = kind ? own.options : own.options.options;
  const isObject = typeof options === "object" && options !== null && !Array.isArray(options);
  if (options !== undefined && !isObject) own.faults.set("options.options", "An object is expected: {…}");
  const name = text("name");
  const entry: MonitorEntry = {
    type,
    name: name === type ? "" : name,
    enabled,
    interval: text("interval"),
    timeout: text("timeout"),
    options: isObject ? options : {},
  };
  return { entry, faults: new Map([...about.faults, ...own.faults]) };
}
