/** Colours and type of the page, as a canvas needs them: read from the tokens whenever the shade changes. */
export type Palette = {
  series: string[];
  rest: string;
  grid: string;
  tick: string;
  ink: string;
  surface: string;
  font: string;
};

export const COLOURS = 8;

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(name).trim();
  return {
    series: Array.from({ length: COLOURS }, (_, index) => token(`--chart-${index + 1}`)),
    rest: token("--chart-rest"),
    grid: token("--chart-grid"),
    tick: token("--chart-tick"),
    ink: token("--ink"),
    surface: token("--surface"),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
  };
}

/** The token of a line's colour, for the page; `colourOf` gives the same for a canvas. */
export function colourToken(colour: number | "rest"): string {
  return colour === "rest" ? "var(--chart-rest)" : `var(--chart-${(colour % COLOURS) + 1})`;
}

export function colourOf(palette: Palette, colour: number | "rest"): string {
  return colour === "rest" ? palette.rest : (palette.series[colour % COLOURS] ?? palette.tick);
}

/** From the ninth line on colours come again; their dashes tell them apart. */
export function dashOf(colour: number | "rest"): number[] | undefined {
  if (colour === "rest" || colour < COLOURS) return undefined;
  return [
    [6, 3],
    [2, 2],
    [8, 3, 2, 3],
  ][Math.floor(colour / COLOURS - 1) % 3];
}

/** A colour of the palette (`#rrggbb`) let through in part. */
export function faded(colour: string, opacity: number): string {
  return (
    colour +
    Math.round(opacity * 255)
      .toString(16)
      .padStart(2, "0")
  );
}
