// What the dashboard does to sign in, by the same client: `node auth_js.mjs PACKAGE_JSON URL EMAIL PASSWORD`.
// Prints what came of each step as JSON.
import { createRequire } from "node:module";

const [manifest, url, email, password] = process.argv.slice(2);
const { GoTrueClient } = createRequire(manifest)("@supabase/auth-js");

function memory() {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

const device = () =>
  new GoTrueClient({ url: `${url}/auth/v1`, storage: memory(), autoRefreshToken: false, detectSessionInUrl: false });
const failure = (error) => error && { status: error.status, code: error.code, message: error.message, name: error.name };

const [one, other] = [device(), device()];
const out = {};
out.wrong = failure((await one.signInWithPassword({ email, password: "not it at all" })).error);
out.unknown = failure((await one.signInWithPassword({ email: "nobody@example.com", password })).error);

const signedIn = await one.signInWithPassword({ email: email.toUpperCase(), password });
out.signIn = { error: failure(signedIn.error), email: signedIn.data.user?.email, session: signedIn.data.session };
out.user = (await one.getUser()).data.user;

const refreshed = await one.refreshSession();
out.refresh = { error: failure(refreshed.error), session: refreshed.data.session };
out.rotated = refreshed.data.session?.refresh_token !== signedIn.data.session?.refresh_token;

await other.signInWithPassword({ email, password });
const second = (await other.getSession()).data.session;
out.others = failure((await one.signOut({ scope: "others" })).error);
out.otherAfter = failure((await other.getUser(second.access_token)).error);
out.otherRefresh = failure((await device().refreshSession({ refresh_token: second.refresh_token })).error);
out.oneAfter = (await one.getUser()).data.user?.email;
out.signOut = failure((await one.signOut()).error);
out.sessionAfter = (await one.getSession()).data.session;
out.userAfter = failure((await one.getUser(refreshed.data.session.access_token)).error);
process.stdout.write(JSON.stringify(out));
