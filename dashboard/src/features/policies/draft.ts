/** A policy as it is typed, and what it comes to. Pure. */
import type { Policy, Recurring, Selector, Severity } from "@/lib/api";

export type StepDraft = {
  /** Keeps a step's identity while others come and go. */
  id: number;
  /** Minutes after the alert, as typed. */
  minutes: string;
  channels: string[];
};

export type Draft = {
  id: string | null;
  name: string;
  severities: Severity[];
  what: Selector;
  steps: StepDraft[];
  /** Minutes, as typed; empty: never. */
  repeat: string;
  quiet: Recurring | null;
  holdsDown: boolean;
};

/** Place (`name`, `steps.1`) to what is wrong there. */
export type Faults = Map<string, string>;

const LONGEST_MINUTES = 7 * 24 * 60;
let lastId = 0;

export function step(minutes: string, channels: string[] = []): StepDraft {
  lastId += 1;
  return { id: lastId, minutes, channels };
}

const minutesOf = (seconds: number) => String(Math.round((seconds / 60) * 100) / 100);

export function draftOf(policy: Policy | null): Draft {
  if (policy === null)
    return {
      id: null,
      name: "",
      severities: [],
      what: { servers: [], tags: [], rule: "" },
      steps: [step("0")],
      repeat: "",
      quiet: null,
      holdsDown: false,
    };
  return {
    id: policy.id ?? null,
    name: policy.name,
    severities: policy.severities,
    what: policy.what,
    steps: policy.steps.map(({ after_seconds, channels }) => step(minutesOf(after_seconds), channels)),
    repeat: policy.repeat_seconds > 0 ? minutesOf(policy.repeat_seconds) : "",
    quiet: policy.quiet ?? null,
    holdsDown: policy.quiet_holds_down,
  };
}

/** The policy that the fields hold; lawful only where `faults` is empty. */
export function readPolicy(draft: Draft): { policy: Policy; faults: Faults } {
  const faults: Faults = new Map();
  if (draft.name.trim() === "") faults.set("name", "Needed");
  let before = -1;
  const steps = draft.steps.map(({ minutes, channels }, index) => {
    const seconds = secondsOf(minutes);
    if (seconds === null) faults.set(`steps.${index}`, "Minutes, from 0 to a week");
    else if (index === 0 && seconds !== 0) faults.set("steps.0", "The first step is at once: 0");
    else if (seconds <= before) faults.set(`steps.${index}`, "Later than the step before");
    before = Math.max(before, seconds ?? 0);
    return { after_seconds: seconds ?? 0, channels };
  });
  const repeat = draft.repeat.trim() === "" ? 0 : secondsOf(draft.repeat);
  if (repeat === null) faults.set("repeat", "Minutes, at most a week");
  if (draft.quiet && draft.quiet.days.length === 0) faults.set("quiet", "Choose at least one day");
  return {
    policy: {
      id: draft.id,
      name: draft.name.trim(),
      severities: draft.severities,
      what: draft.what,
      steps,
      repeat_seconds: repeat ?? 0,
      quiet: draft.quiet,
      quiet_holds_down: draft.holdsDown,
    },
    faults,
  };
}

function secondsOf(minutes: string): number | null {
  const value = Number(minutes.trim().replace(",", "."));
  if (minutes.trim() === "" || !Number.isFinite(value) || value < 0 || value > LONGEST_MINUTES) return null;
  return Math.round(value * 60);
}

/** The policies with one of them a place up or down. */
export function moved(policies: readonly Policy[], index: number, by: -1 | 1): Policy[] {
  const next = [...policies];
  const other = index + by;
  const [one, two] = [next[index], next[other]];
  if (one === undefined || two === undefined) return next;
  next[index] = two;
  next[other] = one;
  return next;
}

/** The policies with this one in the place of the one of its id, or at the end. */
export function withPolicy(policies: readonly Policy[], policy: Policy): Policy[] {
  return policy.id !== null && policies.some(({ id }) => id === policy.id)
    ? policies.map((each) => (each.id === policy.id ? policy : each))
    : [...policies, policy];
}

/** Whether a policy tells anybody at all. */
export function tellsNobody({ steps }: Policy): boolean {
  return steps.every(({ channels }) => channels.length === 0);
}
