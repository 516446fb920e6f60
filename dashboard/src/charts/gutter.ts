/** Room for the labels of the values: the same for all charts, so that their times align; less on a phone. */
const GUTTER = 62;
const NARROW = 420;
const NARROW_GUTTER = { short: 42, long: 58 };

export function gutterOf(width: number, unit: string): number {
  if (width >= NARROW) return GUTTER;
  return unit.startsWith("By") || unit === "s" ? NARROW_GUTTER.long : NARROW_GUTTER.short;
}
