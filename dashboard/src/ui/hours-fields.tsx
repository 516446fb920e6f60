/** The same hours on some days, by the wall clock of a time zone. */
"use client";

import type { Recurring } from "@/lib/api";
import { ownZone } from "@/lib/units";
import { DAYS } from "@/lib/words";
import { Field } from "./field";
import { Several, Suggested } from "./inputs";

export function nightHours(): Recurring {
  return { zone: ownZone(), start: "22:00", end: "06:00", days: [0, 1, 2, 3, 4, 5, 6] };
}

export function HoursFields({ hours, onChange }: { hours: Recurring; onChange: (hours: Recurring) => void }) {
  return (
    <>
      <div className="grid grid-cols-2 gap-3">
        <Field
          label="From"
          type="time"
          required
          value={hours.start}
          onChange={(event) => onChange({ ...hours, start: event.target.value.slice(0, 5) })}
        />
        <Field
          label="To"
          type="time"
          required
          hint={hours.end <= hours.start ? "of the next day" : undefined}
          value={hours.end}
          onChange={(event) => onChange({ ...hours, end: event.target.value.slice(0, 5) })}
        />
      </div>
      <Several
        label="On the days on which it begins"
        chosen={hours.days.map(String)}
        onChange={(days) => onChange({ ...hours, days: days.map(Number) })}
        options={DAYS.map((label, day) => ({ value: String(day), label }))}
        fault={hours.days.length === 0 ? "Choose at least one day" : null}
      />
      <Suggested
        label="Time zone"
        value={hours.zone}
        onChange={(zone) => onChange({ ...hours, zone })}
        known={zones().map((value) => ({ value }))}
        hint="Its clock decides, summer time included."
      />
    </>
  );
}

function zones(): string[] {
  return typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [ownZone()];
}
