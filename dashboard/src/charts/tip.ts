import type uPlot from "uplot";
import { valueAt } from "@/lib/series";
import { moment, NOTHING, say } from "@/lib/units";
import type { Drawn } from "./arrange";
import { gutterOf } from "./gutter";
import { colourToken } from "./palette";
import type { TimeChartProps } from "./time-chart";

const ROWS_SHOWN = 12;

/** Fills and places the tooltip. Built by hand, since it follows every movement of the pointer. */
export function showTip(u: uPlot, tip: HTMLElement, props: TimeChartProps, row: number | null): void {
  const time = row === null ? undefined : props.frame.times[row];
  if (row === null || time === undefined) {
    tip.style.visibility = "hidden";
    return;
  }
  const { drawn, hidden, unit, style } = props;
  let rows = drawn
    .filter((each) => !hidden.has(each.line.id))
    .map((each) => ({ each, value: valueAt(each.line.values, row) }))
    .filter(({ value }) => value !== null) as { each: Drawn; value: number }[];
  const top = u.cursor.top ?? 0;
  let near: Drawn | null = null;
  if (style === "heat") near = drawn[Math.floor((top / u.over.clientHeight) * drawn.length)] ?? null;
  else if (style === "stack") rows.reverse();
  else {
    rows.sort((a, b) => Number(a.each.below) - Number(b.each.below) || b.value - a.value);
    let distance = 24;
    for (const { each, value } of rows) {
      const away = Math.abs(u.valToPos(each.below ? -value : value, "y") - top);
      if (away < distance) {
        distance = away;
        near = each;
      }
    }
  }
  if (style === "heat")
    rows.sort((a, b) => Number(b.each === near) - Number(a.each === near) || b.value - a.value);
  const more = rows.length - ROWS_SHOWN;
  if (more > 0) rows = rows.slice(0, ROWS_SHOWN);

  tip.replaceChildren(
    element("div", "mb-1 font-medium text-ink", moment(time)),
    ...(rows.length === 0 ? [element("div", "text-ink-3", "No sample")] : []),
    ...rows.map(({ each, value }) => {
      const item = element(
        "div",
        `flex items-center gap-2 leading-[18px] ${each === near ? "text-ink font-medium" : "text-ink-2"}`,
      );
      const swatch = element("span", "h-2.5 w-[3px] shrink-0 rounded-full");
      swatch.style.background = style === "heat" ? "var(--chart-1)" : colourToken(each.colour);
      item.append(
        swatch,
        element("span", "min-w-0 flex-1 truncate", each.name),
        element("span", "pl-3 text-ink", value === null ? NOTHING : say(unit, value)),
      );
      return item;
    }),
    ...(more > 0 ? [element("div", "pt-0.5 text-ink-3", `and ${more} more`)] : []),
  );
  const left = (u.cursor.left ?? 0) + gutterOf(u.width, unit);
  const width = tip.offsetWidth;
  const room = u.width;
  const beside = left + 14 + width <= room ? left + 14 : left - 14 - width;
  tip.style.transform = `translate(${Math.round(Math.max(0, Math.min(beside, room - width)))}px, 6px)`;
  tip.style.visibility = "visible";
}

function element(tag: string, className: string, text?: string): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
