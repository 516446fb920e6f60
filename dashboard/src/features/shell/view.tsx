"use client";

import {
  Bell,
  Home,
  LogOut,
  Monitor,
  Moon,
  Radar,
  ServerIcon,
  Settings,
  Sun,
  SunMoon,
  WifiOff,
} from "lucide-react";
import Link from "next/link";
import { usePathname, useRouter } from "next/navigation";
import { type ReactNode, useEffect } from "react";
import { useOpenAlerts } from "@/lib/alerts";
import { classes } from "@/lib/classes";
import { useNow } from "@/lib/clock";
import { useLiveData, useMe } from "@/lib/data";
import { retryLive, useLiveStatus } from "@/lib/live";
import { signOut, usePresence } from "@/lib/session";
import { chooseTheme, useTheme } from "@/lib/theme";
import { ago, count, counted } from "@/lib/units";
import { Button } from "@/ui/button";
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from "@/ui/menu";
import { Banner } from "@/ui/panel";
import { TwinMark, Wordmark } from "@/ui/twin-mark";

/** The frame around every page that needs somebody signed in. */
export function Shell({ children }: { children: ReactNode }) {
  const presence = usePresence();
  const router = useRouter();
  useLiveData(presence.status === "in");

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
        className="mx-auto w-full max-w-[1440px] flex-1 px-4 pt-5 pb-24 outline-none sm:px-6 sm:pb-16"
      >
        <LiveBanner />
        {children}
      </main>
      <Places place="foot" />
    </div>
  );
}

const ALERTING = [
  "/alerts/",
  "/alerts/history/",
  "/alert/",
  "/silences/",
  "/rules/",
  "/policies/",
  "/channels/",
];
const PLACES = [
  {
    href: "/",
    label: "Servers",
    icon: ServerIcon,
    within: ["/", "/server/", "/server/configuration/", "/add/"],
  },
  { href: "/alerts/", label: "Alerts", icon: Bell, within: ALERTING },
  { href: "/probes/", label: "Probes", icon: Radar, within: ["/probes/", "/probe/"] },
  { href: "/settings/", label: "Settings", icon: Settings, within: ["/settings/"] },
];

/** The main ways: in the bar at the top, or on a phone at the foot, where the thumb is. */
function Places({ place }: { place: "top" | "foot" }) {
  const path = usePathname();
  const at = path.endsWith("/") ? path : `${path}/`;
  const foot = place === "foot";
  return (
    <nav
      aria-label="Main"
      className={
        foot
          ? "fixed inset-x-0 bottom-0 z-30 grid auto-cols-fr grid-flow-col border-t border-line bg-canvas/92 pb-[env(safe-area-inset-bottom)] backdrop-blur-md sm:hidden"
          : "ml-5 flex items-center gap-0.5 max-sm:hidden"
      }
    >
      {PLACES.map(({ href, label, icon: Icon, within }) => {
        const here = within.includes(at);
        return (
          <Link
            key={href}
            href={href}
            aria-current={here ? "page" : undefined}
            className={classes(
              "font-medium transition-colors",
              foot
                ? "flex h-13 flex-col items-center justify-center gap-0.5 text-2xs focus-visible:-outline-offset-2"
                : "flex items-center gap-1.5 rounded-md px-2.5 py-1 text-sm",
              here ? "text-ink" : "text-ink-2 hover:text-ink",
              !foot && (here ? "bg-ink/6" : "hover:bg-ink/5"),
            )}
          >
            {foot ? (
              <span className="relative">
                <Icon aria-hidden className="size-5" strokeWidth={here ? 2.25 : 1.75} />
                {href === "/alerts/" && <OpenCount className="absolute -top-1.5 left-3" />}
              </span>
            ) : null}
            {label}
            {!foot && href === "/alerts/" && <OpenCount />}
          </Link>
        );
      })}
    </nav>
  );
}

/** How many alerts are open; filled while there is one that nobody has taken on. Nothing while all is well. */
function OpenCount({ className }: { className?: string }) {
  const { data } = useOpenAlerts();
  const open = data?.alerts.length ?? 0;
  if (open === 0) return null;
  const firing = data?.alerts.filter((alert) => alert.state === "firing").length ?? 0;
  return (
    <span
      data-testid="open-count"
      data-open={open}
      data-firing={firing}
      title={`${counted(open, "open alert")}, ${firing === 0 ? "all acknowledged" : `${count(firing)} not acknowledged`}`}
      className={classes(
        "grid h-4 min-w-4 place-items-center rounded-full px-1 text-2xs leading-none font-semibold",
        firing > 0 ? "bg-down text-white dark:text-canvas" : "bg-ink/12 text-ink-2",
        className,
      )}
    >
      {open > 99 ? "99+" : count(open)}
      <span className="sr-only"> open</span>
    </span>
  );
}

function TopBar({ email }: { email: string }) {
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
        <Places place="top" />
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
        <MenuItem onSelect={() => router.push("/alerts/")}>
          <Bell aria-hidden /> Alerts
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
