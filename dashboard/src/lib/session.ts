/**
 * Who is signed in. Tokens are kept and refreshed by Supabase's own client, against the hub's `/auth/v1`.
 */
import { type AuthError, GoTrueClient, isAuthRetryableFetchError, type Session } from "@supabase/auth-js";
import { useSyncExternalStore } from "react";

export type Presence =
  | { status: "unknown" }
  | { status: "out" }
  | { status: "in"; userId: string; email: string };

const KEY = "twinwatch.session";
const UNKNOWN: Presence = { status: "unknown" };
const OUT: Presence = { status: "out" };

let client: GoTrueClient | null = null;
let presence: Presence = UNKNOWN;
let departures = 0;
const listeners = new Set<() => void>();

function become(session: Session | null): void {
  const next: Presence = session
    ? { status: "in", userId: session.user.id, email: session.user.email ?? "" }
    : OUT;
  if (
    next.status === presence.status &&
    (next.status !== "in" || (presence.status === "in" && presence.userId === next.userId))
  )
    return;
  if (presence.status === "in") departures += 1;
  presence = next;
  for (const listener of listeners) listener();
}

/**
 * A fetch for Supabase's client, which forgets a session for every answer that it takes for a refusal, and keeps one that
 * the hub could not be told the end of.
 */
export async function patientFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const target = String(input instanceof Request ? input.url : input);
  const response = await fetch(input, init).catch(() => new Response(null, { status: 503 }));
  const failed = response.status === 429 || response.status >= 500;
  // Whoever signs out is out on this device, whether or not the hub hears of it.
  if (failed && target.includes("/logout")) return new Response(null, { status: 204 });
  // A hub that is busy, or a proxy before one that is away, has refused nobody.
  if (failed && target.includes("grant_type=refresh_token")) return new Response(null, { status: 503 });
  return response;
}

function auth(): GoTrueClient {
  if (client === null) {
    client = new GoTrueClient({
      url: `${window.location.origin}/auth/v1`,
      storageKey: KEY,
      fetch: patientFetch,
      autoRefreshToken: true,
      persistSession: true,
      detectSessionInUrl: false,
    });
    client.onAuthStateChange((_event, session) => become(session));
  }
  return client;
}

/**
 * The present access token, refreshed first when it is about to expire; null when nobody is signed in. Throws while the hub
 * cannot be asked for a new one.
 */
export async function accessToken(): Promise<string | null> {
  return tokenOf(await auth().getSession());
}

function tokenOf({
  data,
  error,
}: {
  data: { session: Session | null };
  error: AuthError | null;
}): string | null {
  if (error && isAuthRetryableFetchError(error)) throw error;
  return data.session?.access_token ?? null;
}

let renewing: Promise<string | null> | null = null;

/**
 * An access token in place of one that the hub refused; null when the refresh token is refused too. Many requests may be
 * refused at once: the first renews, the others take what it got. Throws while the hub cannot be asked.
 */
export async function renewToken(refused: string): Promise<string | null> {
  const present = await accessToken();
  if (present !== null && present !== refused) return present;
  renewing ??= auth()
    .refreshSession()
    .then(tokenOf)
    .finally(() => {
      renewing = null;
    });
  return renewing;
}

export async function signIn(email: string, password: string): Promise<AuthError | null> {
  const { error, data } = await auth().signInWithPassword({ email, password });
  if (data.session) become(data.session);
  return error;
}

/** Ends the session on this device, in all its tabs; the hub hears of it if it can be reached. */
export async function signOut(): Promise<void> {
  const { error } = await auth().signOut({ scope: "local" });
  if (error) {
    // It has expired, and the hub cannot be asked for another: the client would keep it.
    window.localStorage.removeItem(KEY);
    const others = new BroadcastChannel(KEY);
    others.postMessage({ event: "SIGNED_OUT", session: null });
    others.close();
  }
  become(null);
}

function subscribe(listener: () => void): () => void {
  auth();
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether somebody is signed in; `unknown` until the browser's storage was read. */
export function usePresence(): Presence {
  return useSyncExternalStore(
    subscribe,
    () => presence,
    () => UNKNOWN,
  );
}

/** How many have been signed in here and are no more. */
export function useDepartures(): number {
  return useSyncExternalStore(
    subscribe,
    () => departures,
    () => 0,
  );
}
