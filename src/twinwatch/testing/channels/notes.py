"""Notes to try a channel with: one of each kind, a crowd, and some that mean harm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from hypothesis import strategies as st

from twinwatch.notify import Note, Occasion, Subject

NOW = 1_767_362_600_000
"""2026-01-02 14:03:20 UTC."""
SINCE = NOW - 200_000
KEY = "0123456789abcdef0123456789abcdef"
LINK = "https://hub.example.org/alerts"
OCCASIONS: tuple[Occasion, ...] = get_args(Occasion)


def subject(number: int = 0, **changes: Any) -> Subject:
    """An alert. The number tells it from others."""
    key = f"{number:032x}" if number else KEY
    whole = Subject(
        key=key,
        server=f"web-{number + 1}",
        title="nginx.service failed",
        message="nginx.service on web-1 has failed: exit code 1. See journalctl -u nginx.",
        severity="critical",
        since=SINCE,
        facts=(("Value", "97.5 %"), ("Threshold", "above 90 %")),
        evidence=("pid 4100 nginx 31 % CPU", "nginx: [emerg] bind() to 0.0.0.0:80 failed"),
        url=f"{LINK}/?id={key}",
        acknowledge_url=f"{LINK}/acknowledge/?id={key}&token=5ca1ab1e",
    )
    return replace(whole, **changes)


def note(occasion: Occasion = "firing", *subjects: Subject, **changes: Any) -> Note:
    """A note about these, or about one that fits the occasion."""
    shown = subjects or (_fitting(occasion),)
    whole = Note(
        id="6f1ed002-ab59-4b6e-8d5c-2f5a7a1c9e10",
        occasion=occasion,
        subjects=shown,
        now=NOW,
        teller="hub",
        thread=shown[0].key,
        first=occasion in ("firing", "test", "drill"),
        organization="Acme",
        link=LINK,
    )
    return replace(whole, **changes)


def crowd(count: int) -> Note:
    """So many at once."""
    return note("firing", *(subject(number) for number in range(count)))


def golden() -> dict[str, Note]:
    """The notes of which the payload is kept, by name."""
    lost = subject(
        title="no sign of life",
        message="web-1 has given no sign of life for 2 min.",
        severity="down",
        facts=(("Verdict", "nobody reaches it"),),
        evidence=(),
    )
    return {
        "firing": note("firing", teller="agent"),
        "lost": note("firing", lost),
        "escalation": note("escalation"),
        "resolved": note("resolved"),
        "test": note("test"),
        "grouped": note("firing", lost, subject(1, severity="warning"), subject(2)),
    }


TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            [
                "<!channel>", "<!here|x>", "<@U012AB3CD>", "<https://evil.example|click>", "*", "_", "~", "`", "```",
                "&amp;", "&lt;", "<b>", "</p>", "<script>", "'", '"', "@everyone", "[x](http://evil.example)",
                "\r\n", "\nBcc: all@evil.example", "\r\n\r\n", "\n.\r\n", "=?utf-8?q?x?=", "\x00", "\x1b[31m", "\x7f",
                "\u202e", "\u2066", "\u2028", "\u200b", "\ufeff", "\ud800", "é", "漢字", "🔥", "ß", "{", "|", "€",
                "{{7*7}}", "%s", "${jndi}", "x" * 50, " ",
            ]
        ),
        max_size=12,
    ).map("".join),
)  # fmt: skip
"""Text of others, some of it made to be taken for markup."""


@st.composite
def hostile(draw: st.DrawFn, subjects: int = 3) -> tuple[Note, Note]:
    """A note whose texts come from elsewhere, and one of the same form that is harmless."""
    occasion = draw(st.sampled_from(OCCASIONS))
    fitting = _fitting(occasion)
    count = draw(st.integers(1, subjects))
    tame = note(occasion, *(replace(fitting, key=f"{number:032x}") for number in range(count)))
    wild = replace(
        tame,
        organization=draw(TEXTS),
        sender=draw(TEXTS),
        subjects=tuple(_wild(draw, one) for one in tame.subjects),
    )
    return wild, tame


def _wild(draw: st.DrawFn, tame: Subject) -> Subject:
    facts: Sequence[tuple[str, str]] = [(f"{name}{draw(TEXTS)}", draw(TEXTS)) for name, _ in tame.facts]
    return replace(
        tame,
        server=draw(TEXTS) + "s",
        title=draw(TEXTS) + "t",
        message=draw(TEXTS) + "m" if tame.message else "",
        cause=draw(TEXTS) + "c" if tame.cause else "",
        by=draw(TEXTS) + "b" if tame.by else "",
        facts=tuple(facts),
        evidence=tuple(draw(TEXTS) + "e" for _ in tame.evidence),
    )


def _fitting(occasion: Occasion) -> Subject:
    """An alert as it stands on this occasion."""
    match occasion:
        case "resolved":
            return subject(occasion="resolved", resolved_at=NOW - 5_000, cause="restarted by systemd", evidence=())
        case "acknowledged":
            return subject(occasion="acknowledged", by="Ann")
        case "test":
            return subject(
                server="web-1", title="test", message="", severity="warning", facts=(), evidence=(),
                occasion="test", acknowledge_url="",
            )  # fmt: skip
        case _:
            return subject(occasion=occasion)
