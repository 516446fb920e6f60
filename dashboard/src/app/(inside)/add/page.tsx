import type { Metadata } from "next";
import { AddView } from "@/features/enrol/view";

export const metadata: Metadata = { title: "Add a server" };

export default function AddPage() {
  return <AddView />;
}
