// A chart on a canvas: lines, areas, stacks and mirrored pairs, with axes, hover, keys and a legend. Knows no metric.
import { clock, exact, say, ticks, title } from "./units.js";

const MOST_LINES = 24;
const REST = ["free", "idle"];
const GROUND = ["used", "user", "reserved", "system", "nice", "interrupt", "iowait", "steal", "buffers", "cached"];
const LEFT = 58, BOTTOM = 20, TOP = 6;

export function element(tag, fields = {}, ...children) {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
}

function nameOf(line, chart) {
  const keys = chart.by?.length ? [...chart.by] : Object.keys(line.labels);
  if (line.labels["twinwatch.monitor.name"] && !keys.includes("twinwatch.monitor.name")) keys.push("twinwatch.monitor.name");
  const words = keys.map((key) => line.labels[key]).filter(Boolean);
  if (chart.metrics.length > 1) {
    const parts = chart.metrics.map((metric) => metric.split("."));
    let shared = 0;
    while (parts.every((part) => part.length > shared + 1 && part[shared] === parts[0][shared])) shared += 1;
    words.unshift(line.metric.split(".").slice(shared).join(" "));
  }
  return words.join(" · ") || chart.title;
}

function height(line) {
  const values = Object.values(line.labels);
  if (values.some((value) => REST.includes(value))) return 99;
  const place = GROUND.findIndex((each) => values.includes(each));
  return place < 0 ? 50 : place;
}

/** One chart's card. `draw(data)` shows `{first, step, points, series}`, of which it takes what is its own. */
export class Chart {
  constructor(chart, unit, interval) {
    this.chart = chart;
    this.unit = unit;
    this.interval = interval;
    this.hidden = new Set();
    this.at = null;
    this.now = element("output");
    this.canvas = element("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    this.legend = element("ul", { className: "legend" });
    this.tip = element("div", { className: "tip", hidden: true });
    const heading = element("h4", {}, chart.title, element("span", { textContent: title(unit) }), this.now);
    this.card = element("article", { className: "card" }, heading, this.canvas, this.legend, this.tip);
    this.canvas.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.leave());
    this.canvas.addEventListener("blur", () => this.leave());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.paint()).observe(this.canvas);
  }

  draw(data) {
    this.data = data;
    const own = data.series.filter((line) => this.chart.metrics.includes(line.metric));
    const mirrored = this.chart.mirror ?? [];
    const found = own.map((line) => ({
      ...line,
      name: nameOf(line, this.chart),
      below: Object.values(line.labels).some((value) => mirrored.includes(value)),
      rest: this.chart.style === "stack" && height(line) === 99,
    }));
    found.sort((a, b) =>
      (this.chart.style === "stack" ? height(a) - height(b) : 0) ||
      this.chart.metrics.indexOf(a.metric) - this.chart.metrics.indexOf(b.metric) ||
      a.below - b.below || a.name.localeCompare(b.name, "en", { numeric: true }));
    this.left = Math.max(0, found.length - MOST_LINES);
    this.lines = found.slice(0, MOST_LINES);
    this.card.hidden = !found.length;
    // What is above and below the axis of one thing has one colour, unless there is only one thing.
    const sides = (this.chart.by ?? []).filter((key) => found.some((line) => mirrored.includes(line.labels[key])));
    const thing = (line) => (mirrored.length ? [line.metric, ...this.chart.by.filter((key) => !sides.includes(key)).map((key) => line.labels[key])].join("\n") : line.name);
    const things = [...new Set(this.lines.map(thing))];
    for (const line of this.lines) {
      const place = mirrored.length && things.length === 1 ? Number(line.below) : things.indexOf(thing(line));
      line.colour = line.rest ? "--rest" : `--c${(place % 8) + 1}`;
      line.dash = place >= 8 ? [5, 3] : [];
    }
    this.list();
    this.paint();
  }

  list() {
    const names = this.lines.map((line) => line.name).join("\n") + this.left;
    if (this.listed === names) return;
    this.listed = names;
    const alone = this.lines.length < 2;
    this.legend.hidden = alone;
    this.legend.replaceChildren(...(alone ? [] : this.lines.map((line) => {
      const mark = element("i");
      mark.style.setProperty("--tone", `var(${line.colour})`);
      const button = element("button", { type: "button", title: line.name }, mark, element("span", { textContent: line.name }));
      button.setAttribute("aria-pressed", !this.hidden.has(line.name));
      button.addEventListener("click", () => {
        if (!this.hidden.delete(line.name)) this.hidden.add(line.name);
        button.setAttribute("aria-pressed", !this.hidden.has(line.name));
        this.paint();
      });
      return element("li", {}, button);
    })));
    if (this.left) this.legend.append(element("li", { className: "more", textContent: `${this.left} more are not drawn` }));
  }

  /** What is drawn: the columns, stacked or turned below the axis. */
  columns() {
    const ground = new Array(this.data.points).fill(0);
    return this.lines.filter((line) => !this.hidden.has(line.name)).map((line) => {
      if (this.chart.style !== "stack") return { line, base: null, tops: line.below ? line.values.map((v) => (v === null ? null : -v)) : line.values };
      const base = ground.slice();
      const tops = line.values.map((value, place) => (value === null ? null : (ground[place] += value)));
      return { line, base, tops };
    });
  }

  paint() {
    const width = this.canvas.clientWidth, tall = this.canvas.clientHeight;
    if (!this.data || !width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = tall * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    pen.font = `11px ${style.fontFamily}`;
    const { first, step, points } = this.data;
    const shown = this.columns();
    let high = 0, low = 0;
    for (const { tops } of shown) for (const value of tops) if (value !== null) { if (value > high) high = value; if (value < low) low = value; }
    const full = this.chart.top ?? null;
    if (full !== null && high <= full) high = full;
    const empty = shown.every(({ tops }) => tops.every((value) => value === null));
    if (!high && !low) high = this.unit === "1" ? 0.01 : 1;
    const up = ticks(this.unit, Math.max(high, -low));
    const end = full !== null && high === full ? full : up.find((tick) => tick >= high * 0.999) ?? high;
    const start = low < 0 ? -(up.find((tick) => tick >= -low * 0.999) ?? -low) : 0;
    const x = (place) => LEFT + ((width - LEFT - 6) * place) / Math.max(1, points - 1);
    const y = (value) => TOP + ((tall - TOP - BOTTOM) * (end - value)) / (end - start);
    this.x = x;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const tick of [...up.filter((t) => t <= end * 1.001), ...up.filter((t) => t && -t >= start * 1.001).map((t) => -t)]) {
      pen.strokeStyle = colour("--grid");
      pen.beginPath();
      pen.moveTo(LEFT, Math.round(y(tick)) + 0.5);
      pen.lineTo(width - 6, Math.round(y(tick)) + 0.5);
      pen.stroke();
      pen.fillStyle = colour("--tick");
      pen.fillText(tick === 0 ? (this.unit === "1" ? "0%" : "0") : say(this.unit, Math.abs(tick)).replace(".0%", "%"), LEFT - 7, y(tick));
    }
    const span = step * points;
    const apart = [1, 5, 10, 15, 30, 60, 120, 180, 240, 360].map((m) => m * 60_000).find((each) => (each / span) * (width - LEFT) >= 62) ?? 21_600_000;
    const zone = new Date(first).getTimezoneOffset() * 60_000;
    pen.textAlign = "center";
    for (let time = Math.ceil((first - zone) / apart) * apart + zone; time < first + span; time += apart) {
      const place = x((time - first) / step);
      if (place > LEFT + 8 && place < width - 16) pen.fillText(clock(time), place, tall - 8);
    }
    const gap = Math.max(1, Math.ceil((2.5 * this.interval) / step));
    for (const { line, base, tops } of shown) {
      pen.strokeStyle = colour(line.colour);
      pen.fillStyle = colour(line.colour);
      pen.lineWidth = 1.5;
      pen.lineJoin = "round";
      for (const run of runs(tops, gap)) {
        const path = new Path2D();
        run.forEach((place, index) => path[index ? "lineTo" : "moveTo"](x(place), y(tops[place])));
        if (base || this.chart.style === "area" || this.chart.mirror?.length) {
          const area = new Path2D(path);
          for (const place of [...run].reverse()) area.lineTo(x(place), y(base ? base[place] : 0));
          pen.globalAlpha = base ? 0.55 : 0.16;
          pen.fill(area);
          pen.globalAlpha = 1;
        }
        if (run.length === 1) pen.fillRect(x(run[0]) - 1.5, y(tops[run[0]]) - 1.5, 3, 3);
        pen.setLineDash(line.dash);
        pen.stroke(path);
        pen.setLineDash([]);
      }
    }
    if (empty) {
      pen.fillStyle = colour("--tick");
      pen.fillText("No samples in this span", (width + LEFT) / 2, tall / 2 - 6);
    }
    if (this.at !== null && !empty) {
      pen.strokeStyle = colour("--tick");
      pen.beginPath();
      pen.moveTo(x(this.at), TOP);
      pen.lineTo(x(this.at), tall - BOTTOM);
      pen.stroke();
      this.tell(width);
    }
    const visible = this.lines.filter((line) => !this.hidden.has(line.name));
    const latest = visible.length === 1 ? visible[0].values.findLast((value) => value !== null) : undefined;
    this.now.value = latest === undefined ? "" : say(this.unit, latest);
    const words = visible.slice(0, 6).map((line) => `${line.name} ${say(this.unit, line.values.findLast((value) => value !== null))}`);
    this.canvas.setAttribute("aria-label", `${this.chart.title}; newest: ${empty ? "no samples" : words.join(", ")}. Arrow keys read values.`);
  }

  point(offset) {
    if (!this.x || !this.data) return;
    const width = this.canvas.clientWidth;
    this.at = Math.min(this.data.points - 1, Math.max(0, Math.round(((offset - LEFT) / (width - LEFT - 6)) * (this.data.points - 1))));
    this.paint();
  }

  key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.key === "Escape") this.leave();
    if (!move || !this.data) return;
    event.preventDefault();
    this.at = Math.min(this.data.points - 1, Math.max(0, (this.at ?? this.data.points - 1) + move));
    this.paint();
  }

  leave() {
    this.at = null;
    this.tip.hidden = true;
    this.paint();
  }

  tell(width) {
    const near = (line) => {
      const gap = Math.max(0, Math.ceil(this.interval / this.data.step));
      for (let off = 0; off <= gap; off += 1) {
        const value = line.values[this.at - off] ?? null;
        if (value !== null) return value;
      }
      return null;
    };
    const rows = this.lines.filter((line) => !this.hidden.has(line.name)).map((line) => [line, near(line)]).filter(([, value]) => value !== null);
    if (this.chart.style !== "stack") rows.sort((a, b) => b[1] - a[1]);
    else rows.reverse();
    const time = this.data.first + this.at * this.data.step;
    this.tip.replaceChildren(
      element("p", { textContent: exact(time) }),
      ...rows.slice(0, 10).map(([line, value]) => {
        const mark = element("i");
        mark.style.setProperty("--tone", `var(${line.colour})`);
        return element("p", {}, mark, element("span", { textContent: line.name }), element("b", { textContent: say(this.unit, value) }));
      }),
      ...(rows.length > 10 ? [element("p", { textContent: `and ${rows.length - 10} more` })] : rows.length ? [] : [element("p", { textContent: "no sample" })]),
    );
    this.tip.hidden = false;
    const place = this.x(this.at);
    const left = place + 26 + this.tip.offsetWidth > width ? place - this.tip.offsetWidth + 4 : place + 26;
    this.tip.style.left = `${Math.max(4, left)}px`;
  }
}

/** Stretches of places with a value; a pause of at most `gap` places is drawn through. */
function runs(values, gap) {
  const found = [];
  let run = [];
  values.forEach((value, place) => {
    if (value === null) return;
    if (run.length && place - run[run.length - 1] > gap) {
      found.push(run);
      run = [];
    }
    run.push(place);
  });
  if (run.length) found.push(run);
  return found;
}
