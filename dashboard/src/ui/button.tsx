import { LoaderCircle } from "lucide-react";
import { Slot } from "radix-ui";
import type { ComponentProps } from "react";
import { classes } from "@/lib/classes";

const KINDS = {
  primary: "bg-ink text-canvas hover:bg-ink/88 border-transparent",
  plain: "bg-surface text-ink border-line hover:border-line-strong hover:bg-sunken",
  quiet: "border-transparent text-ink-2 hover:bg-ink/6 hover:text-ink",
  danger: "bg-down text-white border-transparent hover:bg-down/90 dark:text-canvas",
};
const SIZES = {
  md: "h-8 px-3 gap-1.5 text-sm",
  lg: "h-10 px-4 gap-2 text-base",
  icon: "size-8 justify-center",
};

export function Button({
  kind = "plain",
  size = "md",
  busy = false,
  asChild = false,
  className,
  children,
  disabled,
  ...rest
}: ComponentProps<"button"> & {
  kind?: keyof typeof KINDS;
  size?: keyof typeof SIZES;
  busy?: boolean;
  asChild?: boolean;
}) {
  const look = classes(
    "inline-flex shrink-0 select-none items-center justify-center rounded-md border font-medium whitespace-nowrap transition-colors duration-100 disabled:opacity-55 [&>svg]:size-4 [&>svg]:shrink-0",
    KINDS[kind],
    SIZES[size],
    className,
  );
  if (asChild)
    return (
      <Slot.Root className={look} {...rest}>
        {children}
      </Slot.Root>
    );
  return (
    <button
      type="button"
      className={look}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      {...rest}
    >
      {busy && <LoaderCircle className="animate-spin" aria-hidden />}
      {children}
    </button>
  );
}
