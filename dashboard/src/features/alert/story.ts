/** What happened to an alert, as sentences in the order of time. Pure. */
import type { AlertDetail, Notification, TimelineEvent } from "@/lib/api";
import { duration, moment, say } from "@/lib/units";
import { SEVERITIES } from "@/ui/severity";

export type Tone = "bad" | "told" | "person" | "good" | "plain";
export type Line = { key: string; at: number; tone: Tone; what: string; text: string };

/** What the hub hears so much later than the agent is worth a word. */
const LATE_MS = 5000;

/** Why a message was sent. */
export const OCCASIONS: Record<string, string> = {
  firing: "it fires",
  worse: "it is worse",
  escalation: "nobody has acknowledged it",
  repeat: "it is still open",
  flapping: "it comes and goes",
  settled: "it has come to rest",
  acknowledged: "somebody sees to it",
  resolved: "it is over",
};

const WHYS: Record<string, string> = {
  recovered: "It is well again",
  gone: "What it was about is gone",
  changed: "Its rule was changed",
  unknown: "Its agent no longer knows of it",
};

export function storyOf(detail: AlertDetail): Line[] {
  const { alert, timeline } = detail;
  const channels = new Map(detail.notifications.map((note) => [note.channel_id, note.channel]));
  const lines: Line[] = [
    { key: "true", at: alert.true_at, tone: "bad", what: "It became true", text: "" },
    ...timeline.map((event) => lineOf(event, detail, channels)),
  ];
  // What happens in one instant stays in the order in which it was written down.
  return lines.sort((a, b) => a.at - b.at);
}

function lineOf(event: TimelineEvent, detail: AlertDetail, channels: ReadonlyMap<string, string>): Line {
  const { alert } = detail;
  const line = (tone: Tone, what: string, text = event.text, at = event.at): Line => ({
    key: String(event.id),
    at,
    tone,
    what,
    text,
  });
  const by = event.actor === "agent" ? "the agent" : event.actor === "hub" ? "the hub" : event.actor;
  switch (event.kind) {
    case "fired": {
      const late = alert.received_at - alert.detected_at;
      const words = [
        alert.value !== null && `Value ${say(alert.unit, alert.value)}.`,
        late > LATE_MS && `The hub heard of it ${duration(late / 1000)} later.`,
      ].filter(Boolean);
      return line("bad", `Detected by ${by}`, words.join(" "), alert.detected_at);
    }
    case "worse": {
      const severity = SEVERITIES[event.detail.severity as keyof typeof SEVERITIES];
      return line("bad", severity ? `It became worse: ${severity.word.toLowerCase()}` : "It became worse");
    }
    case "explained":
      return line("plain", "What is known of it");
    case "settled":
      return line("bad", "It has stopped coming and going, and is bad");
    case "told":
    case "refused": {
      const occasion = OCCASIONS[String(event.detail.occasion)];
      const channel = channelName(String(event.detail.channel ?? ""), channels);
      return event.kind === "told"
        ? line("told", `${channel} was told by ${by}${occasion ? `: ${occasion}` : ""}`)
        : line("bad", `${channel} could not be told by ${by}`);
    }
    case "acknowledged":
      return line("person", `Acknowledged by ${event.actor}`);
    case "comment":
      return line("person", `${event.actor} wrote`);
    case "escalated":
      return line("plain", "Escalated: nobody had acknowledged it");
    case "repeated":
      return line("plain", "Told again: nobody had acknowledged it");
    case "silenced": {
      const until = Number(event.detail.until ?? 0);
      return line("plain", until > 0 ? `Silenced until ${moment(until)}` : "Silenced until somebody ends it");
    }
    case "unsilenced":
      return line("plain", "The silence was ended");
    case "nobody":
      return line("bad", "There was nobody to tell");
    case "resolved": {
      const why = String(event.detail.why ?? "");
      const cause = event.detail.cause ? `Cause: ${String(event.detail.cause)}.` : "";
      const what = why === "closed" ? `Closed by ${event.actor}` : (WHYS[why] ?? "It is over");
      return line("good", what, [cause, event.text].filter(Boolean).join(" "), alert.resolved_at ?? event.at);
    }
    default:
      return line("plain", event.kind);
  }
}

function channelName(channel: string, channels: ReadonlyMap<string, string>): string {
  if (channel.startsWith("file:")) return `${channel.slice(5)} (of the agent's file)`;
  return channels.get(channel) ?? "A channel that is gone";
}

/** How a message fares, in words; `well` whether it has arrived. */
export function fareOf(
  note: Notification,
  now: number,
): { word: string; tone: "up" | "late" | "down" | "plain" } {
  switch (note.state) {
    case "delivered":
      return { word: "delivered", tone: "up" };
    case "sending":
      return { word: "on its way", tone: "plain" };
    case "waiting":
      if (note.attempts.length > 0) return { word: "is tried again", tone: "late" };
      return { word: note.due_at > now ? "held back" : "waits", tone: "plain" };
    case "refused":
      return { word: "refused", tone: "down" };
    case "given-up":
      return { word: "given up", tone: "down" };
    default:
      return { word: "not sent", tone: "plain" };
  }
}

/** How long it took until the first person was told, in seconds; null: nobody yet. */
export function toldAfter({ alert }: Pick<AlertDetail, "alert">): number | null {
  return alert.told_at === null ? null : Math.max(0, (alert.told_at - alert.true_at) / 1000);
}
