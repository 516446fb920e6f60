// Holds the doors of the dashboard: app → features → charts, ui → lib. Features do not know one another,
// charts and ui do not know one another, and only lib/units.ts turns a number into text.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "../src");
const may = {
  app: ["app", "features", "ui", "lib"],
  features: ["charts", "ui", "lib"],
  charts: ["charts", "lib"],
  ui: ["ui", "lib"],
  lib: ["lib"],
};
const unitsOnly =
  /\.toFixed\(|\.toPrecision\(|\.toLocale(Date|Time)?String\(|Intl\.(Number|DateTime|RelativeTime)Format/;
const importing = /(?:from|import)\s*\(?\s*["']([^"']+)["']/g;

const faults = [];
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.tsx?$/.test(entry.name) || entry.name.endsWith(".d.ts")) continue;
  const file = path.join(entry.parentPath, entry.name);
  const where = path.relative(root, file);
  const [room, noun] = where.split(path.sep);
  const text = readFileSync(file, "utf8");
  for (const [, name] of text.matchAll(importing)) {
    const target = name.startsWith("@/")
      ? name.slice(2)
      : name.startsWith(".")
        ? path.relative(root, path.resolve(path.dirname(file), name))
        : null;
    if (target === null) continue;
    const [otherRoom, otherNoun] = target.split("/");
    const own = room === "features" && otherRoom === "features" && noun === otherNoun;
    if (!own && !may[room]?.includes(otherRoom)) faults.push(`${where}: ${room} may not import ${target}`);
  }
  if (where !== "lib/units.ts" && unitsOnly.test(text))
    faults.push(`${where}: a number becomes text in lib/units.ts only`);
}

for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exit(faults.length ? 1 : 0);
