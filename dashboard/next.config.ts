import type { NextConfig } from "next";

// In development the pages come from `next dev`, and everything the hub answers is passed on to it.
const hub = process.env.TWINWATCH_HUB ?? "http://127.0.0.1:8400";
const developing = process.env.NODE_ENV === "development";

const config: NextConfig = {
  output: developing ? undefined : "export",
  trailingSlash: true,
  skipTrailingSlashRedirect: developing,
  reactStrictMode: true,
  allowedDevOrigins: ["127.0.0.1"],
  images: { unoptimized: true },
  // `npm run types` is the gate; the build need not check a second time.
  typescript: { ignoreBuildErrors: true },
  ...(developing && {
    rewrites: async () => [
      { source: "/api/:path*", destination: `${hub}/api/:path*` },
      { source: "/auth/:path*", destination: `${hub}/auth/:path*` },
    ],
  }),
};

export default config;
