/**
 * The only place where a number becomes text. Units are UCUM, as the catalogue declares them: `1` is a ratio of 0 to 1,
 * `By` bytes, `s` seconds, `{thread}` a count of threads; `…/s` is a rate of any of them.
 *
 * Bytes are binary (KiB, MiB), everything else decimal. At most three significant digits; local time, 24 hours.
 */

export type Measure = {
  number: string;
  /** With its own leading space where one belongs: `%`, ` GiB`; empty for a bare count. */
  unit: string;
};

export const NOTHING = "–";

type Scale = { factor: number; unit: string };

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["", "k", "M", "G", "T"];

/** Up to three significant digits, never an exponent: 0.012, 1.25, 12.5, 125, 1250. */
function digits(value: number, places?: number): string {
  const size = Math.abs(value);
  const decimals = places ?? (size === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.0995 ? 2 : 3);
  const text = value.toFixed(decimals);
  return places === undefined && text.includes(".")
    ? text.replace(/\.?0+$/, "")
    : text.replace(/^-0(\.0+)?$/, "0$1");
}

/** `{operation}` → `operation`; a UCUM annotation is a word for people. */
function annotation(unit: string): string | null {
  return /^\{(.+)\}$/.exec(unit)?.[1] ?? null;
}

const NAMES: Record<string, string> = {
  Cel: "°C",
  Hz: "Hz",
  V: "V",
  W: "W",
  J: "J",
  A: "A",
  m: "m",
  "%": "%",
};

/** The scale in which a value of this size is best said. */
function scaleOf(unit: string, size: number): Scale {
  const rate = unit.endsWith("/s");
  const base = rate ? unit.slice(0, -2) : unit;
  const per = rate ? "/s" : "";
  if (base === "1") return rate ? { factor: 1, unit: " /s" } : { factor: 0.01, unit: "%" };
  if (base === "By") {
    const step = size < 1 ? 0 : Math.min(BINARY.length - 1, Math.floor(Math.log2(size * 1.0005) / 10));
    return { factor: 1024 ** step, unit: ` ${BINARY[step]}${per}` };
  }
  if (base === "s" && !rate) {
    if (size !== 0 && size < 0.0009995) return { factor: 1e-6, unit: " µs" };
    if (size !== 0 && size < 0.9995) return { factor: 1e-3, unit: " ms" };
    return { factor: 1, unit: " s" };
  }
  if (base === "Cel") return { factor: 1, unit: ` °C${per}` };
  const word = annotation(base);
  const step = size < 9999.5 ? 0 : Math.min(DECIMAL.length - 1, Math.floor(Math.log10(size * 1.0005) / 3));
  const prefix = DECIMAL[step] ?? "";
  // The word itself stands in the heading (see unitTitle).
  if (word !== null) return { factor: 1000 ** step, unit: `${prefix}${per}` };
  const name = NAMES[base] ?? base;
  return { factor: 1000 ** step, unit: `${prefix || name || per ? " " : ""}${prefix}${name}${per}` };
}

/** A value split into number and unit, for places that set them in different sizes. */
export function measure(unit: string, value: number | null | undefined): Measure {
  if (value === null || value === undefined || !Number.isFinite(value)) return { number: NOTHING, unit: "" };
  if (unit === "s" && Math.abs(value) >= 120) return { number: duration(value), unit: "" };
  const scale = scaleOf(unit, Math.abs(value));
  const scaled = value / scale.factor;
  if (unit === "1") return { number: digits(scaled, Math.abs(scaled) >= 99.95 ? 0 : 1), unit: scale.unit };
  return { number: digits(scaled), unit: scale.unit };
}

/** A value with its unit: `12.4%`, `1.25 GiB`, `3 d 4 h`. */
export function say(unit: string, value: number | null | undefined): string {
  const { number, unit: suffix } = measure(unit, value);
  return number + suffix;
}

/** Labels of one axis: all ticks in one scale, with as few decimals as keep them apart. */
export function axisLabels(unit: string, ticks: readonly number[]): string[] {
  const sizes = ticks.map(Math.abs);
  const largest = Math.max(0, ...sizes);
  if (unit === "s" && largest >= 120) return sizes.map((size) => (size === 0 ? "0" : duration(size)));
  const scale = scaleOf(unit, largest);
  const steps = sizes.slice(1).map((size, index) => Math.abs(size - (sizes[index] ?? 0)) / scale.factor);
  const step = Math.min(...steps.filter((size) => size > 0), largest / scale.factor || 1);
  let decimals = 0;
  while (decimals < 3 && Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6)
    decimals += 1;
  const zero = unit === "1" ? "0%" : "0";
  // Words stand in the chart's heading; an axis needs the prefix only.
  const suffix = annotation(unit.replace(/\/s$/, "")) === null ? scale.unit : scale.unit.replace("/s", "");
  return sizes.map((size) => (size === 0 ? zero : digits(size / scale.factor, decimals) + suffix));
}

/** Distances between ticks that read well in this unit; undefined where powers of ten do. */
export function axisSteps(unit: string): number[] | undefined {
  if (unit === "By" || unit === "By/s") {
    const steps: number[] = [];
    for (let power = 0; power < 5; power += 1)
      for (const part of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]) steps.push(part * 1024 ** power);
    return steps;
  }
  if (unit === "s")
    return [
      ...[1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1].flatMap((power) => [power, 2 * power, 5 * power]),
      ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200],
      ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((days) => days * 86400),
    ];
  return undefined;
}

/** What a chart measures, for its heading: `%`, `bytes/s`, `threads`. */
export function unitTitle(unit: string): string {
  const rate = unit.endsWith("/s");
  const base = rate ? unit.slice(0, -2) : unit;
  const per = rate ? "/s" : "";
  if (base === "1") return rate ? "per second" : "%";
  if (base === "By") return `bytes${per}`;
  if (base === "s") return rate ? "seconds/s" : "time";
  const word = annotation(base);
  return word === null ? `${NAMES[base] ?? base}${per}` : `${word}s${per}`;
}

export function percent(ratio: number): string {
  return `${digits(ratio * 100, 0)}%`;
}

export function count(value: number): string {
  return new Intl.NumberFormat("en").format(value);
}

/** `1 server`, `3 servers`. */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** `1 try`, `3 tries`. */
export function tries(value: number): string {
  return value === 1 ? "1 try" : `${count(value)} tries`;
}

/** The two largest parts of a span: `45 s`, `12 min`, `3 h 5 min`, `4 d 2 h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(Math.abs(seconds)));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 && minutes < 5 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 && days < 100 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** A duration as people write it into a form: `15s`, `1m30s`. */
export function spelled(seconds: number): string {
  let left = Math.round(seconds * 1000);
  let text = "";
  for (const [unit, size] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
    ["ms", 1],
  ] as const) {
    const whole = Math.floor(left / size);
    left -= whole * size;
    if (whole) text += `${whole}${unit}`;
  }
  return text || "0s";
}

/** How long ago, in one part: `just now`, `12 s ago`, `3 min ago`, `2 d ago`. */
export function ago(then: number | null | undefined, now: number): string {
  if (then === null || then === undefined) return "never";
  if (!isInstant(then)) return NOTHING;
  const seconds = Math.max(0, Math.floor((now - then) / 1000));
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

const format = (options: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options });
const CLOCK = format({ hour: "2-digit", minute: "2-digit" });
const CLOCK_SECONDS = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = format({ day: "numeric", month: "short" });
const DATE = format({ day: "numeric", month: "short", year: "numeric" });

/** Whether a Date can hold it: 100 million days on either side of 1970. Formats throw at what it cannot. */
function isInstant(ms: number): boolean {
  return Math.abs(ms) <= 8.64e15;
}

const written = (form: Intl.DateTimeFormat, ms: number) => (isInstant(ms) ? form.format(ms) : NOTHING);

/** `14:05`, or `14:05:30` where seconds matter. */
export function clock(ms: number, seconds = false): string {
  return written(seconds ? CLOCK_SECONDS : CLOCK, ms);
}

/** `5 Mar 2026`. */
export function date(ms: number): string {
  return written(DATE, ms);
}

/** `5 Mar, 14:05:30`: one instant, in the viewer's own time; of another year, with that. */
export function moment(ms: number): string {
  if (!isInstant(ms)) return NOTHING;
  const day = new Date(ms).getFullYear() === new Date().getFullYear() ? DAY : DATE;
  return `${day.format(ms)}, ${CLOCK_SECONDS.format(ms)}`;
}

/** An instant for programs, as `<time>` has it; undefined where there is none such. */
export function machineTime(ms: number): string | undefined {
  return isInstant(ms) ? new Date(ms).toISOString() : undefined;
}

/** Labels of a time axis; the day stands where it begins. */
export function timeLabels(ticks: readonly number[], stepMs: number): string[] {
  return ticks.map((ms) => {
    const text = clock(ms, stepMs < 60_000);
    return text === "00:00" ? written(DAY, ms) : text;
  });
}

/** `10:05 – 10:20`, with days where the span crosses one. */
export function span(since: number, to: number): string {
  if (!isInstant(since) || !isInstant(to)) return NOTHING;
  return DAY.format(since) === DAY.format(to)
    ? `${clock(since, to - since < 600_000)} – ${clock(to, to - since < 600_000)}`
    : `${DAY.format(since)}, ${clock(since)} – ${DAY.format(to)}, ${clock(to)}`;
}

/** What an `<input type="datetime-local">` holds for an instant, to the minute: `2026-03-05T14:05`; else nothing. */
export function localInput(ms: number): string {
  if (!isInstant(ms)) return "";
  const at = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** The instant of such an input, by the viewer's own clock; null while it is not whole. */
export function ofLocalInput(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(text)) return null;
  const ms = new Date(text).getTime();
  return Number.isFinite(ms) ? ms : null;
}

/** Seconds of `15s`, `5m`, `1h30m`; null for what is no duration. */
export function secondsOf(text: string): number | null {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== text.trim()) return null;
  const sizes: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (sizes[unit ?? ""] ?? 0), 0);
}

/** The time zone of the viewer: `Europe/Zurich`. */
export function ownZone(): string {
  return new Intl.DateTimeFormat("en").resolvedOptions().timeZone;
}
