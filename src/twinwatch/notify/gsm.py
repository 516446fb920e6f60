"""What fits into one SMS: 160 characters of the GSM alphabet, or 70 where the text needs another. Pure.

Source: 3GPP TS 23.038 (6.2.1 default alphabet, 6.2.1.1 extension table, UCS-2).
"""

from __future__ import annotations

import unicodedata

GSM_CHARACTERS = 160
UCS2_CHARACTERS = 70
BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("^{}\\[~]|€\f")
"""Each takes the place of two."""
LIKE = {
    "…": "...", "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"',
    "„": '"', "«": '"', "»": '"', "•": "*", "·": ".", "×": "x", "÷": "/", "°": "deg", "µ": "u", "→": "->", "←": "<-",
    "≥": ">=", "≤": "<=", "≠": "!=", "`": "'", "´": "'", "¹": "1", "²": "2", "³": "3", "\t": " ", "ł": "l", "Ł": "L",
    "⁄": "/", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "œ": "oe", "Œ": "OE", "ı": "i",
}  # fmt: skip


def spelled(text: str) -> str | None:
    """The text in the GSM alphabet: letters without the marks that it has not, signs as their likes, pictures left out.
    None if a letter has no like, as those of other scripts."""
    found = []
    for sign in text:
        if sign in BASIC or sign in EXTENDED:
            found.append(sign)
            continue
        parts = unicodedata.normalize("NFKD", sign)
        like = LIKE.get(sign) or "".join(
            part if part in BASIC or part in EXTENDED else LIKE.get(part, "") for part in parts
        )
        if not like and unicodedata.category(sign)[0] in "LN":
            return None
        found.append(like)
    return "".join(found)


def units(text: str) -> int:
    """The places that it takes: septets in the GSM alphabet, else UTF-16 units."""
    if all(sign in BASIC or sign in EXTENDED for sign in text):
        return sum(2 if sign in EXTENDED else 1 for sign in text)
    return len(text.encode("utf-16-le", "replace")) // 2


def bounded(text: str, most: int) -> str:
    """The beginning of the text that takes at most so many places, with dots at its end if that is not all of it."""
    if units(text) <= most:
        return text
    dots = "..." if spelled(text) == text else "…"
    kept = text
    while kept and units(kept + dots) > most:
        kept = kept[:-1]
    return kept.rstrip() + dots if kept else ""
