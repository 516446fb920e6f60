"use client";

import { RadioGroup } from "radix-ui";
import type { ReactNode } from "react";
import { classes } from "@/lib/classes";

/** A few exclusive choices, side by side. Arrow keys move between them. */
export function Segmented<T extends string>({
  label,
  value,
  onChange,
  options,
  className,
}: {
  label: string;
  value: T | null;
  onChange: (value: T) => void;
  options: { value: T; label: ReactNode; name?: string }[];
  className?: string;
}) {
  return (
    <RadioGroup.Root
      aria-label={label}
      value={value ?? ""}
      onValueChange={(next) => onChange(next as T)}
      className={classes(
        "inline-flex h-8 items-stretch rounded-md border border-line bg-sunken p-0.5",
        className,
      )}
    >
      {options.map((option) => (
        <RadioGroup.Item
          key={option.value}
          value={option.value}
          aria-label={option.name}
          onClick={() => option.value === value || onChange(option.value)}
          className="flex min-w-9 flex-auto items-center justify-center gap-1.5 rounded-[5px] px-2 text-xs font-medium whitespace-nowrap text-ink-2 transition-colors hover:text-ink data-[state=checked]:bg-surface data-[state=checked]:text-ink data-[state=checked]:shadow-card data-[state=checked]:ring-1 data-[state=checked]:ring-line dark:data-[state=checked]:bg-raised dark:data-[state=checked]:ring-line-strong [&>svg]:size-3.5 [&>svg]:shrink-0"
        >
          {option.label}
        </RadioGroup.Item>
      ))}
    </RadioGroup.Root>
  );
}
