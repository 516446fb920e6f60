"use client";
export function AddView() {
  return <h1>Add a server</h1>;
}
