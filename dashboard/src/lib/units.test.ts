import { describe, expect, test } from "vitest";
import {
  ago,
  axisLabels,
  axisSteps,
  clock,
  counted,
  date,
  duration,
  localInput,
  machineTime,
  measure,
  moment,
  NOTHING,
  ofLocalInput,
  say,
  secondsOf,
  span,
  spelled,
  timeLabels,
  unitTitle,
} from "./units";

describe("say", () => {
  test.each([
    ["1", 0, "0.0%"],
    ["1", 0.1234, "12.3%"],
    ["1", 1, "100%"],
    ["1", 0.9999, "100%"],
    ["By", 0, "0 B"],
    ["By", 1023, "1023 B"],
    ["By", 1024, "1 KiB"],
    ["By", 1_048_575.9, "1 MiB"],
    ["By", 17_179_869_184, "16 GiB"],
    ["By/s", 1_310_720, "1.25 MiB/s"],
    ["s", 0.0000421, "42.1 µs"],
    ["s", 0.0042, "4.2 ms"],
    ["s", 12.5, "12.5 s"],
    ["s", 93_784, "1 d 2 h"],
    ["Cel", 41.55, "41.5 °C"],
    ["{thread}", 3.02, "3.02"],
    ["{operation}/s", 314.4, "314/s"],
    ["{packet}/s", 15_600, "15.6k/s"],
    ["Hz", 2_400_000_000, "2.4 GHz"],
    ["furlong", 3, "3 furlong"],
  ])("%s %d reads %s", (unit, value, text) => {
    expect(say(unit, value)).toBe(text);
  });

  test("what is not a number is a dash", () => {
    expect(say("By", null)).toBe(NOTHING);
    expect(say("1", undefined)).toBe(NOTHING);
    expect(say("s", Number.NaN)).toBe(NOTHING);
    expect(say("s", Number.POSITIVE_INFINITY)).toBe(NOTHING);
  });

  test("nothing is ever said with an exponent", () => {
    for (let power = -9; power <= 15; power += 1)
      for (const unit of ["1", "By", "s", "{thread}", "By/s", "Hz"])
        expect(say(unit, 10 ** power)).not.toMatch(/e[+-]?\d/);
  });

  test("number and unit stand apart for large type", () => {
    expect(measure("By", 1536)).toEqual({ number: "1.5", unit: " KiB" });
    expect(measure("1", 0.5)).toEqual({ number: "50.0", unit: "%" });
  });
});

describe("axisLabels", () => {
  test("all ticks share one scale and as few decimals as keep them apart", () => {
    expect(axisLabels("By", [0, 512 * 1024, 1024 * 1024])).toEqual(["0", "0.5 MiB", "1.0 MiB"]);
    expect(axisLabels("1", [0, 0.25, 0.5, 0.75, 1])).toEqual(["0%", "25%", "50%", "75%", "100%"]);
    expect(axisLabels("{operation}/s", [0, 2000, 20_000])).toEqual(["0", "2k", "20k"]);
  });

  test("below the axis of a mirrored chart the sizes are said, not the signs", () => {
    expect(axisLabels("By/s", [-1024, 0, 1024])).toEqual(["1 KiB/s", "0", "1 KiB/s"]);
  });

  test("ticks of long times are durations", () => {
    expect(axisLabels("s", [0, 3600, 7200])).toEqual(["0", "1 h", "2 h"]);
  });

  test("steps of bytes are powers of two", () => {
    for (const step of axisSteps("By") ?? []) expect(Math.log2(step) % 1).toBe(0);
    expect(axisSteps("1")).toBeUndefined();
  });
});

test("headings name the unit in words", () => {
  expect(["1", "By", "By/s", "s", "{thread}", "{packet}/s", "Cel"].map(unitTitle)).toEqual([
    "%",
    "bytes",
    "bytes/s",
    "time",
    "threads",
    "packets/s",
    "°C",
  ]);
});

test("spans of time are said in their two largest parts", () => {
  expect([0, 45, 75, 600, 3600, 11_100, 93_784, 400 * 86_400].map(duration)).toEqual([
    "0 s",
    "45 s",
    "1 min 15 s",
    "10 min",
    "1 h",
    "3 h 5 min",
    "1 d 2 h",
    "400 d",
  ]);
});

test("how long ago never runs ahead of the time", () => {
  const now = 1_000_000_000;
  expect(ago(null, now)).toBe("never");
  expect(ago(now + 5000, now)).toBe("just now");
  expect(ago(now - 12_000, now)).toBe("12 s ago");
  expect(ago(now - 119_999, now)).toBe("1 min ago");
  expect(ago(now - 3 * 86_400_000, now)).toBe("3 d ago");
});

test("counts take the plural", () => {
  expect([0, 1, 1200].map((each) => counted(each, "server"))).toEqual([
    "0 servers",
    "1 server",
    "1,200 servers",
  ]);
});

test("a time axis names the day where it begins", () => {
  const midnight = new Date(2026, 10, 22).getTime();
  expect(timeLabels([midnight - 3_600_000, midnight, midnight + 3_600_000], 3_600_000)).toEqual([
    "23:00",
    "22 Nov",
    "01:00",
  ]);
});

test("a duration is spelled as a form takes it", () => {
  expect([15, 90, 0.25, 0, 3600, 93_784.005].map(spelled)).toEqual([
    "15s",
    "1m30s",
    "250ms",
    "0s",
    "1h",
    "1d2h3m4s5ms",
  ]);
});

test("an instant goes into a form and comes back, to the minute", () => {
  const at = new Date(2026, 2, 5, 4, 7, 0).getTime();
  expect(localInput(at)).toBe("2026-03-05T04:07");
  expect(ofLocalInput("2026-03-05T04:07")).toBe(at);
  expect(ofLocalInput("2026-03-05")).toBeNull();
  expect(ofLocalInput("")).toBeNull();
});

test("an instant of another year says which", () => {
  const year = new Date().getFullYear();
  expect(moment(new Date(year, 2, 5, 14, 5, 30).getTime())).toBe("5 Mar, 14:05:30");
  expect(moment(new Date(year + 1, 2, 5, 14, 5, 30).getTime())).toBe(`5 Mar ${year + 1}, 14:05:30`);
});

test("an instant that no Date can hold is a dash, and nothing throws", () => {
  const last = 8.64e15;
  expect(moment(last)).toMatch(/275760/);
  expect(machineTime(0)).toBe("1970-01-01T00:00:00.000Z");
  for (const ms of [2 ** 53, last + 1, -last - 1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect([moment(ms), clock(ms), clock(ms, true), date(ms), ago(ms, 0)]).toEqual(Array(5).fill(NOTHING));
    expect([span(ms, 0), span(0, ms), ...timeLabels([ms], 1000)]).toEqual(Array(3).fill(NOTHING));
    expect([localInput(ms), machineTime(ms)]).toEqual(["", undefined]);
  }
});

test("a duration is read as agent and hub read it", () => {
  expect(["15s", "5m", "1h30m", "250ms", "2d"].map(secondsOf)).toEqual([15, 300, 5400, 0.25, 172_800]);
  expect(["", "5", "m", "5 m", "-5m", "5mm"].map(secondsOf)).toEqual([null, null, null, null, null, null]);
});
