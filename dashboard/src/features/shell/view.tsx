"use client";

import { Home, LogOut, Monitor, Moon, Settings, Sun, SunMoon, WifiOff } from "lucide-react";
import Link from "next/link";
import { usePathname, useRouter } from "next/navigation";
import { type ReactNode, useEffect } from "react";
import { classes } from "@/lib/classes";
import { useNow } from "@/lib/clock";
import { useLiveData, useMe } from "@/lib/data";
import { retryLive, useLiveStatus } from "@/lib/live";
import { signOut, usePresence } from "@/lib/session";
import { chooseTheme, useTheme } from "@/lib/theme";
import { ago } from "@/lib/units";
import { Button } from "@/ui/button";
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from "@/ui/menu";
import { Banner } from "@/ui/panel";
import { TwinMark, Wordmark } from "@/ui/twin-mark";

/** The frame around every page that needs somebody signed in. */
export function Shell({ children }: { children: ReactNode }) {
  const presence = usePresence();
  const router = useRouter();
  useLiveData(presence);

  useEffect(() => {
    if (presence.status !== "out") return;
    const here = window.location.pathname + window.location.search;
    router.replace(here === "/" ? "/sign-in/" : `/sign-in/?next=${encodeURIComponent(here)}`);
  }, [presence.status, router]);

  if (presence.status !== "in")
    return (
      <div className="grid min-h-dvh place-items-center" role="status" aria-label="Loading Twinwatch">
        <TwinMark className="size-9 animate-breathe" />
      </div>
    );

  return (
    <div className="flex min-h-dvh flex-col">
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-ink focus:px-3 focus:py-1.5 focus:text-canvas"
      >
        Skip to content
      </a>
      <TopBar email={presence.email} />
      <main
        id="content"
        tabIndex={-1}
        className="mx-auto w-full max-w-[1440px] flex-1 px-4 pt-5 pb-16 outline-none sm:px-6"
      >
        <LiveBanner />
        {children}
      </main>
    </div>
  );
}

const PLACES = [
  { href: "/", label: "Servers", within: ["/", "/server/", "/server/configuration/", "/add/"] },
  { href: "/settings/", label: "Settings", within: ["/settings/"] },
];

function TopBar({ email }: { email: string }) {
  const path = usePathname();
  const at = path.endsWith("/") ? path : `${path}/`;
  const me = useMe();
  const organization = me.data?.organizations[0]?.name;
  return (
    <header className="sticky top-0 z-30 border-b border-line bg-canvas/85 backdrop-blur-md">
      <div className="mx-auto flex h-13 max-w-[1440px] items-center gap-1 px-4 sm:px-6">
        <Link href="/" aria-label="Twinwatch, to your servers" className="-ml-1 rounded-md px-1 py-1">
          <Wordmark className="max-[420px]:[&>span]:hidden" />
        </Link>
        {organization && (
          <>
            <span aria-hidden className="mx-2 hidden h-4 w-px rotate-[18deg] bg-line-strong sm:block" />
            <span className="hidden max-w-48 truncate text-sm text-ink-2 sm:block" title={organization}>
              {organization}
            </span>
          </>
        )}
        <nav aria-label="Main" className="ml-3 flex items-center gap-0.5 sm:ml-5">
          {PLACES.map((place) => (
            <Link
              key={place.href}
              href={place.href}
              aria-current={place.within.includes(at) ? "page" : undefined}
              className={classes(
                "rounded-md px-2.5 py-1 text-sm font-medium transition-colors",
                place.within.includes(at) ? "bg-ink/6 text-ink" : "text-ink-2 hover:bg-ink/5 hover:text-ink",
              )}
            >
              {place.label}
            </Link>
          ))}
        </nav>
        <div className="ml-auto flex items-center gap-1.5">
          <LiveDot />
          <Account email={email} />
        </div>
      </div>
    </header>
  );
}

const LIVE_WORDS = {
  off: { word: "Offline", dot: "bg-ink-3" },
  connecting: { word: "Connecting", dot: "bg-ink-3 animate-breathe" },
  open: { word: "Live", dot: "bg-up" },
  lost: { word: "Reconnecting", dot: "bg-late animate-breathe" },
};

function LiveDot() {
  const { state } = useLiveStatus();
  const { word, dot } = LIVE_WORDS[state];
  return (
    <span
      data-testid="live"
      data-live={state}
      title={state === "open" ? "Figures arrive as they are measured" : "The live connection is being made"}
      className="flex h-7 items-center gap-2 px-2 text-xs font-medium text-ink-2"
    >
      <span className="relative flex size-2">
        {state === "open" && (
          <span className="absolute inset-0 animate-ping-soft rounded-full bg-up opacity-50" />
        )}
        <span className={classes("relative size-2 rounded-full", dot)} />
      </span>
      <span className="max-[420px]:sr-only">{word}</span>
    </span>
  );
}

const THEME_CHOICES = [
  { value: "system" as const, label: "System", icon: <Monitor aria-hidden /> },
  { value: "light" as const, label: "Light", icon: <Sun aria-hidden /> },
  { value: "dark" as const, label: "Dark", icon: <Moon aria-hidden /> },
];

function Account({ email }: { email: string }) {
  const theme = useTheme();
  const router = useRouter();
  return (
    <>
      <Menu
        label="Theme"
        trigger={
          <Button kind="quiet" size="icon" aria-label="Theme" data-testid="theme">
            <SunMoon aria-hidden />
          </Button>
        }
      >
        <MenuChoice value={theme} onChange={chooseTheme} options={THEME_CHOICES} />
      </Menu>
      <Menu
        label="Account"
        trigger={
          <button
            type="button"
            aria-label={`Account of ${email}`}
            data-testid="account"
            className="grid size-7 place-items-center rounded-full bg-accent-soft text-xs font-semibold text-accent-ink uppercase ring-1 ring-accent/20 ring-inset hover:ring-accent/50"
          >
            {email.slice(0, 1) || "?"}
          </button>
        }
      >
        <MenuLabel>
          Signed in as
          <span className="block max-w-60 truncate text-sm font-medium text-ink">{email}</span>
        </MenuLabel>
        <MenuLine />
        <MenuItem onSelect={() => router.push("/")}>
          <Home aria-hidden /> Servers
        </MenuItem>
        <MenuItem onSelect={() => router.push("/settings/")}>
          <Settings aria-hidden /> Settings
        </MenuItem>
        <MenuLine />
        <MenuItem onSelect={() => void signOut()}>
          <LogOut aria-hidden /> Sign out
        </MenuItem>
      </Menu>
    </>
  );
}

/** Shown only once the connection was gone for a few seconds: a blip is nobody's business. */
function LiveBanner() {
  const { state, since } = useLiveStatus();
  useNow();
  const now = Date.now();
  if ((state !== "lost" && state !== "connecting") || now - since < 4000) return null;
  return (
    <div className="mb-4">
      <Banner
        testId="live-lost"
        icon={<WifiOff aria-hidden />}
        tone="late"
        action={
          <button
            type="button"
            onClick={retryLive}
            className="font-medium underline-offset-4 hover:underline"
          >
            Try now
          </button>
        }
      >
        The live connection is down; what you see may be out of date. Lost {ago(since, now)}, trying again by
        itself.
      </Banner>
    </div>
  );
}
