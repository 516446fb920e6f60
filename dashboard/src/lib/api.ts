/**
 * The hub's API: typed calls, the person's token on each of them, and one shape for everything that goes wrong.
 *
 * Types are generated from the hub's OpenAPI document (`npm run api -- openapi.json`); this file gives them names.
 */
import createClient from "openapi-fetch";
import type { components, paths } from "./api.gen";
import { accessToken, renewToken, signOut } from "./session";

type Schemas = components["schemas"];
export type Server = Schemas["Server"];
export type ServerState = Server["state"];
export type Headline = Schemas["Headline"];
export type Catalogue = Schemas["Catalogue"];
export type MonitorFacts = Catalogue["monitors"][number];
export type Metric = MonitorFacts["metrics"][number];
export type ChartFacts = MonitorFacts["charts"][number];
export type MonitorKind = Schemas["MonitorKind"];
export type Check = Schemas["Check"];
export type CheckState = Check["state"];
export type CheckCounts = Schemas["CheckCounts"];
export type Checks = Schemas["Checks"];
export type MonitorStanding = Schemas["MonitorStanding"];
export type Delivery = Schemas["Delivery"];
export type Configuration = Schemas["Configuration"];
export type ConfigurationStanding = Schemas["ConfigurationStanding"];
export type MonitorEntry = Schemas["ConfigurationMonitor"];
export type Rule = Schemas["Rule"];
export type Range = Schemas["Range"];
export type Organization = Schemas["Organization"];
export type EnrolmentKey = Schemas["EnrolmentKey"];
export type EnrolmentKeyMade = Schemas["IssuedKey"];
export type Alert = Schemas["Alert"];
export type AlertState = Alert["state"];
export type Severity = Alert["severity"];
export type AlertDetail = Schemas["AlertDetail"];
export type TimelineEvent = Schemas["TimelineEvent"];
export type Notification = Schemas["Notification"];
export type Channel = Schemas["Channel"];
export type ChannelKind = Schemas["ChannelKind"];
export type ChannelPath = Schemas["Path"];
export type SaveChannel = Schemas["SaveChannel"];
export type Policy = Schemas["Policy"];
export type Policies = Schemas["Policies"];
export type SavePolicies = Schemas["SavePolicies"];
export type PolicyStep = Schemas["Step"];
export type Selector = Schemas["Selector"];
export type Recurring = Schemas["Recurring"];
export type ScopedRule = Pick<Schemas["NewRule"], "scope" | "tag" | "server_id" | "rule">;
export type StoredRule = Schemas["StoredRule"];
export type DefaultRule = Schemas["DefaultRule"];
export type Silence = Schemas["Silence"];
export type NewSilence = Schemas["NewSilence"];
export type Probe = Schemas["Probe"];
export type ProbeKind = Schemas["ProbeKind"];
export type ProbeState = Probe["state"];
export type ProbeOutcome = Schemas["ProbeOutcome"];
export type ProbeHistory = Schemas["ProbeHistory"];
export type ProbeAllowance = Schemas["ProbeAllowance"];
export type SaveProbe = Schemas["SaveProbe"];
export type SeriesId = Schemas["RangeSeries"]["id"];
export type Labels = Record<string, string>;

const PROBLEM_PREFIX = "urn:twinwatch:problem:";

/** One refused or failed request. `slug` is for programs, `title` and `message` for people. */
export class Problem extends Error {
  readonly slug: string;
  readonly status: number;
  readonly title: string;
  readonly requestId: string | null;

  constructor(facts: {
    slug: string;
    status: number;
    title: string;
    detail: string;
    requestId?: string | null;
  }) {
    super(facts.detail);
    this.name = "Problem";
    this.slug = facts.slug;
    this.status = facts.status;
    this.title = facts.title;
    this.requestId = facts.requestId ?? null;
  }

  /** Whether the same request may succeed a moment later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The hub did not answer at all. */
export function unreachable(): Problem {
  return new Problem({
    slug: "unreachable",
    status: 0,
    title: "The hub does not answer",
    detail: "No connection to the hub. Check that it is running and that this device is online.",
  });
}

/** What the hub said about a refused request; also when a proxy in between answered with something else. */
export async function problemOf(response: Response, body?: unknown): Promise<Problem> {
  let said = body;
  if (said === undefined || typeof said === "string") {
    try {
      said = typeof said === "string" ? JSON.parse(said) : await response.json();
    } catch {
      said = null;
    }
  }
  const facts = (typeof said === "object" && said !== null ? said : {}) as Record<string, unknown>;
  const text = (key: string) =>
    typeof facts[key] === "string" && facts[key] ? (facts[key] as string) : null;
  return new Problem({
    slug: text("type")?.replace(PROBLEM_PREFIX, "") ?? "unknown",
    status: response.status,
    title: text("title") ?? `The hub answered ${response.status}`,
    detail: text("detail") ?? text("msg") ?? (response.statusText || "It gave no reason."),
    requestId: text("request_id") ?? response.headers.get("x-request-id"),
  });
}

function failed(error: unknown): never {
  throw error instanceof DOMException && error.name === "AbortError" ? error : unreachable();
}

/** Fetch with the person's token; a token that was refused is renewed once, then the session is ended. */
export async function authorizedFetch(request: Request): Promise<Response> {
  const again = request.clone();
  const token = await accessToken().catch(failed);
  if (token) request.headers.set("Authorization", `Bearer ${token}`);
  const response = await fetch(request).catch(failed);
  if (response.status !== 401 || !token) return response;
  const renewed = await renewToken(token).catch(failed);
  if (renewed === null) {
    await signOut();
    return response;
  }
  again.headers.set("Authorization", `Bearer ${renewed}`);
  return fetch(again).catch(failed);
}

export const hub = createClient<paths>({
  baseUrl: "",
  fetch: authorizedFetch,
  querySerializer: { array: { style: "form", explode: true } },
});

/** The data of an answer, or the problem thrown. */
export async function taken<T>(
  asked: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<NonNullable<T>> {
  const { data, error, response } = await asked;
  if (!response.ok) throw await problemOf(response, error ?? "");
  return (data ?? {}) as NonNullable<T>;
}
