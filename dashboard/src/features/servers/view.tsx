"use client";
export function ServersView() {
  return <h1>Servers</h1>;
}
