// Numbers become text here and nowhere else, as in the hub's dashboard: units are UCUM, bytes binary, the rest decimal.
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["", "k", "M", "G", "T"];
const NAMES = { Cel: "°C" };

function digits(value, places) {
  const size = Math.abs(value);
  const decimals = places ?? (size === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.0995 ? 2 : 3);
  const text = value.toFixed(decimals);
  return places === undefined && text.includes(".") ? text.replace(/\.?0+$/, "") : text.replace(/^-0(\.0+)?$/, "0$1");
}

const word = (unit) => /^\{(.+)\}$/.exec(unit)?.[1];

function scale(unit, size) {
  const rate = unit.endsWith("/s");
  const base = rate ? unit.slice(0, -2) : unit;
  const per = rate ? "/s" : "";
  if (base === "1") return rate ? [1, " /s"] : [0.01, "%"];
  if (base === "By") {
    const step = size < 1 ? 0 : Math.min(5, Math.floor(Math.log2(size * 1.0005) / 10));
    return [1024 ** step, ` ${BINARY[step]}${per}`];
  }
  if (base === "s" && !rate) {
    if (size && size < 0.0009995) return [1e-6, " µs"];
    return size && size < 0.9995 ? [1e-3, " ms"] : [1, " s"];
  }
  const step = size < 9999.5 ? 0 : Math.min(4, Math.floor(Math.log10(size * 1.0005) / 3));
  const name = word(base) === undefined ? (NAMES[base] ?? base) : "";
  return [1000 ** step, `${DECIMAL[step] || name ? " " : ""}${DECIMAL[step]}${name}${per}`];
}

/** A value with its unit: `12.4%`, `1.25 GiB`. */
export function say(unit, value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (unit === "s" && Math.abs(value) >= 120) return lasting(value);
  const [factor, suffix] = scale(unit, Math.abs(value));
  const scaled = value / factor;
  return (unit === "1" ? digits(scaled, Math.abs(scaled) >= 99.95 ? 0 : 1) : digits(scaled)) + suffix;
}

/** What a chart measures, for its heading. */
export function title(unit) {
  const rate = unit.endsWith("/s") ? "/s" : "";
  const base = rate ? unit.slice(0, -2) : unit;
  if (base === "1") return rate ? "per second" : "%";
  if (base === "By") return `bytes${rate}`;
  if (base === "s" && !rate) return "time";
  const name = word(base);
  return name === undefined ? (NAMES[base] ?? base) + rate : name === "value" ? "" : `${name}s${rate}`;
}

/** The two largest parts of a span of seconds: `45 s`, `3 h 5 min`. */
export function lasting(seconds) {
  const whole = Math.max(0, Math.round(Math.abs(seconds)));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 && minutes < 5 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 && hours < 2400 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

const form = (options) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options });
const CLOCK = form({ hour: "2-digit", minute: "2-digit" });
const EXACT = form({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = form({ day: "numeric", month: "short" });
export const clock = (ms) => CLOCK.format(ms);
export const exact = (ms) => EXACT.format(ms);
export const since = (ms, now) => (now - ms < 86_400_000 ? `since ${clock(ms)}` : `since ${DAY.format(ms)}, ${clock(ms)}`);
export const count = (value) => new Intl.NumberFormat("en").format(value);

/** Round distances for an axis up to `top`, about four of them. */
export function ticks(unit, top) {
  const binary = unit === "By" || unit === "By/s";
  const clockwise = unit === "s" && top >= 60 ? [15, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800, 2592000, 8640000] : null;
  const rough = top / 4;
  let step;
  if (clockwise) step = clockwise.find((each) => each >= rough) ?? rough;
  else {
    const power = binary ? 1024 ** Math.max(0, Math.floor(Math.log2(rough) / 10)) : 10 ** Math.floor(Math.log10(rough));
    const parts = binary ? [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] : [1, 2, 5, 10];
    step = power * (parts.find((part) => part * power >= rough * 0.999) ?? 10);
  }
  const found = [];
  for (let at = 0; at <= top * 1.001 + step * 0.999 && found.length < 12; at += step) found.push(at);
  return found;
}
