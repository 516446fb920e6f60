import type { Alert } from "./api";

/** An alert as the hub tells it, for tests; what matters to one is given. */
export function alertOf(given: Partial<Alert>): Alert {
  return {
    id: "a",
    organization_id: "o",
    server_id: "web-1",
    probe_id: null,
    origin: "agent",
    rule: "systemd: failed",
    thing: "systemd:nginx.service",
    severity: "critical",
    state: "firing",
    subject: "web-1",
    title: "nginx.service failed",
    message: "Exited with code 1.",
    labels: {},
    value: null,
    unit: "",
    flapping: false,
    suppressed: false,
    late: false,
    silenced_until: null,
    true_at: 1_000_000,
    detected_at: 1_001_000,
    received_at: 1_001_500,
    told_at: null,
    acknowledged_at: null,
    acknowledged_by: "",
    resolved_at: null,
    resolved_why: "",
    resolved_by: "",
    cause: "",
    verdict: "",
    ...given,
  };
}
