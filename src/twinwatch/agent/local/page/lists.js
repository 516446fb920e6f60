// The state in words: header, notices, tiles, checks and monitors.
import { element } from "./charts.js";
import { count, lasting, say, since } from "./units.js";

const WORDS = {
  up: "Up", degraded: "Degraded", down: "Down", unknown: "Unknown",
  ok: "Running", new: "Starting", absent: "Nothing there", failing: "Failing",
};
const ORDER = ["down", "degraded", "unknown", "failing", "new", "ok", "up", "absent"];
const ORIGINS = { default: "built in", file: "file", hub: "hub" };
const worst = (a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.name.localeCompare(b.name, "en", { numeric: true });
const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
const find = (id) => document.getElementById(id);

/** Put these in place of what is there, unless it is the same: a reader's place and selection stay. */
function put(target, ...children) {
  const fresh = element("div", {}, ...children);
  if (fresh.innerHTML !== target.innerHTML) target.replaceChildren(...fresh.childNodes);
}

const badge = (state) => element("span", { className: `state ${state}`, textContent: WORDS[state] ?? state });
const cell = (className, ...children) => element("td", { className }, ...children);

function table(heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { textContent: text, scope: "col" })));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

function link(status) {
  const { state, since: then, hub, control } = status.link;
  const error = status.link.error.replace(`hub ${hub}: `, "");
  const place = hub.replace(/^https?:\/\//, "");
  const from = then ? since(then, status.time) : "";
  if (state === "none") return ["No hub", "This agent works on its own.", ""];
  if (state === "up") return ["Connected", `${place}, ${from}${control ? "" : ". Changes arrive with the heartbeat"}`, "up"];
  if (state === "refused") return ["Refused", `${place}: ${error}`, "down"];
  if (state === "away") return ["Out of reach", `${place} ${from}: ${error}`, "degraded"];
  return ["Connecting", place + (error ? `: ${error}` : ""), "new"];
}

function tile(name, value, words, state) {
  const shown = state ? element("dd", {}, element("span", { className: `state ${state}`, textContent: value })) : element("dd", { textContent: value });
  shown.firstElementChild?.style.setProperty("font-size", "inherit");
  return element("dl", { className: "tile" }, element("dt", { textContent: name }), shown, element("dd", { textContent: words }));
}

function tiles(status) {
  const { delivery, buffer } = status;
  const share = delivery.collected ? delivery.delivered / delivery.collected : 0;
  const waits = delivery.oldest_pending ? `, the oldest for ${lasting((status.time - delivery.oldest_pending) / 1000)}` : "";
  const alone = status.link.state === "none";
  const lost = delivery.dropped ? ` ${plural(delivery.dropped, "tick")} lost.` : "";
  const cap = buffer.most_bytes ? ` of ${say("By", buffer.most_bytes)}` : "";
  put(find("tiles"),
    tile("Hub", ...link(status)),
    alone
      ? tile("Collected", plural(delivery.collected, "tick"), `kept for 24 hours.${lost}`, "")
      : tile("Delivered", delivery.collected ? `${(Math.floor(share * 1000) / 10).toFixed(1)}%` : "–", `${plural(delivery.pending, "tick")} waiting${delivery.pending ? waits : ""}.${lost}`, delivery.dropped ? "degraded" : ""),
    tile("Buffer", say("By", buffer.size_bytes || delivery.buffer_bytes) + cap, buffer.trouble || "24 hours, on this server's disk", buffer.trouble ? "down" : ""),
    tile("Agent", lasting(status.uptime_seconds), `running, version ${status.version}, process ${status.pid}`, ""));
}

function notices(status) {
  const { refused, version } = status.configuration;
  const found = [];
  if (status.buffer.trouble) found.push(["down", "Buffer", `${status.buffer.trouble}\nThe newest samples are kept in memory for now.`]);
  if (status.link.state === "refused") found.push(["down", "Hub", `${status.link.error}\nNothing is lost yet: what is collected is kept for 24 hours.`]);
  if (refused) found.push(["degraded", "Configuration", `Version ${refused} from the hub was refused; ${version ? `version ${version}` : "the one before"} stays in force.`]);
  for (const problem of status.configuration.problems ?? []) found.push(["degraded", "Configuration", problem]);
  const ahead = status.link.clock_ahead_seconds;
  if (ahead !== null && Math.abs(ahead) > 30) found.push(["degraded", "Clock", `This server's clock is ${lasting(ahead)} ${ahead > 0 ? "ahead of" : "behind"} the hub's. Set it with: timedatectl set-ntp true`]);
  put(find("notices"), ...found.map(([tone, name, text]) => element("p", { className: `notice ${tone}` }, element("b", { textContent: name }), text)));
}

function checks(status) {
  const sorted = [...status.checks].sort(worst);
  const rows = (list) => list.map((check) => element("tr", {},
    cell("", badge(check.state)), cell("name", check.name), cell("words", check.message ?? ""),
    cell("quiet", check.since ? since(check.since, status.time) : "")));
  const heads = ["State", "Check", "What is wrong", "Time"];
  const bad = sorted.filter((check) => check.state !== "up");
  const good = sorted.filter((check) => check.state === "up");
  const children = [];
  if (!sorted.length) children.push(element("p", { className: "empty", textContent: "No monitor here has checks yet." }));
  if (bad.length) children.push(table(heads, rows(bad)));
  if (good.length) {
    const words = bad.length ? `${plural(good.length, "check")} up` : `All ${good.length === 1 ? "is" : plural(good.length, "check")} up`;
    const more = element("details", {}, element("summary", { textContent: words }), table(["State", "Check", "", "Time"], rows(good)));
    more.open = find("checks").querySelector("details")?.open ?? false;
    children.push(more);
  }
  put(find("checks"), ...children);
}

function monitors(status) {
  const rows = [...status.monitors].sort(worst).map((monitor) => element("tr", {},
    cell("", badge(monitor.state)),
    cell("name", monitor.name, ...(monitor.type === monitor.name ? [] : [` (${monitor.type})`])),
    cell("words", monitor.reason ?? ""),
    cell("quiet", monitor.interval_seconds ? `every ${lasting(monitor.interval_seconds)}` : ""),
    cell("quiet wide", ORIGINS[monitor.origin] ?? monitor.origin)));
  put(find("monitors"), rows.length
    ? table(["State", "Monitor", "Reason", "Interval", "From"], rows)
    : element("p", { className: "empty", textContent: "No monitor is configured." }));
}

function overall(status) {
  const down = status.checks.filter((check) => check.state === "down").length;
  const degraded = status.checks.filter((check) => check.state === "degraded").length;
  const failing = status.monitors.filter((monitor) => monitor.state === "failing").length;
  const trouble = status.buffer.trouble || status.link.state === "refused";
  const [tone, words] = down ? ["down", `${plural(down, "check")} down`]
    : trouble ? ["down", "Needs attention"]
    : degraded ? ["degraded", `${plural(degraded, "check")} degraded`]
    : failing ? ["degraded", `${plural(failing, "monitor")} failing`]
    : ["up", "All is well"];
  const pill = find("overall");
  pill.className = `pill ${tone}`;
  if (pill.textContent !== words) pill.textContent = words;
  document.title = `${tone === "up" ? "" : `${words} · `}${status.server_name} · Twinwatch`;
}

/** Show a status. */
export function show(status) {
  status.checks ??= [];
  status.monitors ??= [];
  find("server").textContent = status.server_name;
  find("agent").textContent = `Twinwatch agent ${status.version}, up for ${lasting(status.uptime_seconds)}`;
  notices(status);
  tiles(status);
  checks(status);
  monitors(status);
  overall(status);
}

/** Say for how long the agent itself has been silent; `null` when it answers. */
export function silence(seconds) {
  const banner = find("silence");
  banner.hidden = seconds === null;
  if (seconds === null) return;
  banner.textContent = `No answer from the agent for ${lasting(seconds)}. What stands below is from before. Look at it with: systemctl status twinwatch-agent`;
  const pill = find("overall");
  pill.className = "pill down";
  pill.textContent = "No answer";
}
