/**
 * Who is signed in. Tokens are kept and refreshed by Supabase's own client, against the hub's `/auth/v1`.
 */
import { type AuthError, GoTrueClient, type Session } from "@supabase/auth-js";
import { useSyncExternalStore } from "react";

export type Presence =
  | { status: "unknown" }
  | { status: "out" }
  | { status: "in"; userId: string; email: string };

const UNKNOWN: Presence = { status: "unknown" };
const OUT: Presence = { status: "out" };

let client: GoTrueClient | null = null;
let presence: Presence = UNKNOWN;
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
  presence = next;
  for (const listener of listeners) listener();
}

function auth(): GoTrueClient {
  if (client === null) {
    client = new GoTrueClient({
      url: `${window.location.origin}/auth/v1`,
      storageKey: "twinwatch.session",
      autoRefreshToken: true,
      persistSession: true,
      detectSessionInUrl: false,
    });
    client.onAuthStateChange((_event, session) => become(session));
  }
  return client;
}

/** The present access token, refreshed first when it is about to expire; null when nobody is signed in. */
export async function accessToken(): Promise<string | null> {
  const { data } = await auth().getSession();
  return data.session?.access_token ?? null;
}

let renewing: Promise<string | null> | null = null;

/**
 * An access token in place of one that the hub refused; null when the refresh token is refused too. Many requests may be
 * refused at once: the first renews, the others take what it got.
 */
export async function renewToken(refused: string): Promise<string | null> {
  const present = await accessToken();
  if (present !== null && present !== refused) return present;
  renewing ??= auth()
    .refreshSession()
    .then(({ data }) => data.session?.access_token ?? null)
    .finally(() => {
      renewing = null;
    });
  return renewing;
}

/** Drops the session on this device without telling the hub. */
export async function forgetSession(): Promise<void> {
  await auth().signOut({ scope: "local" });
  become(null);
}

export async function signIn(email: string, password: string): Promise<AuthError | null> {
  const { error, data } = await auth().signInWithPassword({ email, password });
  if (data.session) become(data.session);
  return error;
}

export async function signOut(): Promise<void> {
  await auth().signOut({ scope: "local" });
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
