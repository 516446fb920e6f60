// Asks the agent and shows what it says: its state every 5 s, charts as often as they can change.
import { Chart, element } from "./charts.js";
import { show, silence } from "./lists.js";

const STATUS_MS = 5_000;
const SILENT_MS = 12_000;
const SPANS = [["15 min", 900_000], ["1 h", 3_600_000], ["6 h", 21_600_000], ["24 h", 86_400_000]];
const POINTS = 300;
let span = SPANS.find(([, ms]) => ms === Number(location.hash.slice(1)))?.[1] ?? 0;
let answered = Date.now();
let ahead = 0;
let drawn = "";
let groups = [];

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(10_000), cache: "no-store" });
  if (response.status === 401) location.reload();
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** The charts of one monitor; asks for samples while it is on the screen. */
class Group {
  constructor(monitor) {
    this.interval = Math.max(1, monitor.interval_seconds || 15) * 1000;
    this.metrics = [...new Set(monitor.charts.flatMap((chart) => chart.metrics))];
    const units = new Map(monitor.metrics.map((metric) => [metric.name, metric.unit]));
    this.charts = monitor.charts.map((chart) => new Chart(chart, units.get(chart.metrics[0]) ?? "", this.interval));
    const grid = element("div", { className: "grid" }, ...this.charts.map((chart) => chart.card));
    this.rest = element("p", { className: "rest" });
    this.node = element("section", { className: "group" }, element("h3", { textContent: monitor.title }), grid, this.rest);
    this.due = 0;
    new IntersectionObserver(([seen]) => {
      this.seen = seen.isIntersecting;
      this.refresh();
    }, { rootMargin: "300px" }).observe(this.node);
  }

  async refresh() {
    if (!this.seen || this.asking || document.hidden || Date.now() < this.due) return;
    this.asking = true;
    const wanted = span;
    try {
      const until = Date.now() + ahead;
      const held = this.span === wanted ? this.data : null;
      const since = held ? Math.max(held.first + held.step * (held.points - 3), until - wanted) : until - wanted;
      const query = new URLSearchParams({ since: Math.floor(since), until: Math.floor(until), points: POINTS, ...(held ? { step: held.step } : {}) });
      for (const metric of this.metrics) query.append("metric", metric);
      const fresh = await ask(`/api/v1/series?${query}`);
      if (wanted !== span) return;
      this.data = held && fresh.step === held.step ? joined(held, fresh, until - wanted) : held ? null : fresh;
      this.span = wanted;
      this.due = this.data ? Date.now() + Math.min(60_000, Math.max(5_000, Math.max(this.data.step, this.interval) / 2)) : 0;
      if (this.data) this.draw();
    } catch {
      this.due = Date.now() + STATUS_MS;
    } finally {
      this.asking = false;
      if (wanted !== span) this.refresh();
    }
  }

  draw() {
    for (const chart of this.charts) chart.draw(this.data);
    const empty = this.charts.filter((chart) => chart.card.hidden).map((chart) => chart.chart.title);
    this.rest.textContent = empty.length ? `No samples in this span: ${empty.join(", ")}` : "";
  }

  again() {
    this.due = 0;
    this.data = null;
    this.refresh();
  }
}

/** What was held, with what is fresh in its place, from `since` on. */
function joined(held, fresh, since) {
  const step = held.step;
  const first = Math.max(held.first, Math.floor(since / step) * step);
  const points = Math.round((fresh.first - first) / step) + fresh.points;
  const keyOf = (line) => JSON.stringify([line.metric, Object.entries(line.labels).sort()]);
  const lines = new Map();
  const lay = (data) => {
    const offset = Math.round((data.first - first) / step);
    for (const line of data.series) {
      const key = keyOf(line);
      if (!lines.has(key)) lines.set(key, { ...line, values: new Array(points).fill(null) });
      const { values } = lines.get(key);
      line.values.forEach((value, place) => {
        if (place + offset >= 0 && place + offset < points) values[place + offset] = value;
      });
    }
  };
  lay(held);
  lay(fresh);
  const series = [...lines.values()].filter((line) => line.values.some((value) => value !== null));
  return { first, step, points, series };
}

function draw(catalogue) {
  const shown = (catalogue.monitors ?? []).filter((monitor) => monitor.charts?.length);
  const digest = JSON.stringify(shown.map((monitor) => [monitor.name, monitor.title, monitor.interval_seconds, monitor.charts, monitor.metrics]));
  if (digest === drawn) return;
  drawn = digest;
  groups = shown.map((monitor) => new Group(monitor));
  const nodes = groups.map((group) => group.node);
  document.getElementById("charts").replaceChildren(...(nodes.length ? nodes : [element("p", { className: "empty", textContent: "No monitor has charts yet." })]));
}

function switchSpan() {
  const buttons = SPANS.map(([text, ms]) => {
    const button = element("button", { type: "button", textContent: text });
    button.setAttribute("aria-pressed", ms === span);
    button.addEventListener("click", () => {
      span = ms;
      history.replaceState(null, "", `#${ms}`);
      for (const each of buttons) each.setAttribute("aria-pressed", each === button);
      for (const group of groups) group.again();
    });
    return button;
  });
  document.getElementById("spans").replaceChildren(...buttons);
}

let turn = 0;
async function refresh() {
  if (document.hidden) return;
  try {
    const status = await ask("/api/v1/status");
    answered = Date.now();
    ahead = status.time - answered;
    silence(null);
    show(status);
    if (!span) {
      span = status.uptime_seconds < 1_500 ? SPANS[0][1] : SPANS[1][1];
      switchSpan();
    }
    if (turn++ % 6 === 0) draw(await ask("/api/v1/catalogue"));
    for (const group of groups) group.refresh();
  } catch (error) {
    if (!(error instanceof TypeError) && error.name !== "TimeoutError") console.warn(error.message);
  }
}

function watch() {
  const quiet = Date.now() - answered;
  if (!document.hidden && quiet > SILENT_MS) silence(quiet / 1000);
}

refresh();
setInterval(refresh, STATUS_MS);
setInterval(watch, 1_000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  answered = Math.max(answered, Date.now() - SILENT_MS);
  refresh();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const group of groups) for (const chart of group.charts) chart.paint();
});
