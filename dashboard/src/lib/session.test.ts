import { afterEach, expect, test, vi } from "vitest";
import { patientFetch } from "./session";

const answering = (answer: () => Promise<Response>) => vi.stubGlobal("fetch", answer);
const asked = async (path: string) => (await patientFetch(`http://hub/auth/v1/${path}`)).status;

afterEach(() => vi.unstubAllGlobals());

test("a hub that does not answer refuses nobody, and keeps nobody signed in", async () => {
  answering(() => Promise.reject(new TypeError("Failed to fetch")));
  expect(await asked("token?grant_type=refresh_token")).toBe(503);
  expect(await asked("token?grant_type=password")).toBe(503);
  expect(await asked("logout?scope=local")).toBe(204);
});

test.each([429, 500, 502])("nor does one that answers with %i", async (status) => {
  answering(() => Promise.resolve(new Response("{}", { status })));
  expect(await asked("token?grant_type=refresh_token")).toBe(503);
  expect(await asked("token?grant_type=password")).toBe(status);
  expect(await asked("logout?scope=local")).toBe(204);
});

test.each([200, 400, 401])("what it says with %i is passed on", async (status) => {
  answering(() => Promise.resolve(new Response("{}", { status })));
  for (const path of ["token?grant_type=refresh_token", "token?grant_type=password", "logout?scope=local"])
    expect(await asked(path)).toBe(status);
});
