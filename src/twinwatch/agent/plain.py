"""Texts of others (a monitor's message, a plug-in's title) as they may travel and be logged: one line, bounded."""

from __future__ import annotations

from unicodedata import category


def plain(text: str, most: int) -> str:
    """The text without control characters and lone surrogates, at most ``most`` characters, cut with "…".

    Raises: TypeError if it is none.
    """
    if not isinstance(text, str):
        raise TypeError(f"expected a text, not {type(text).__name__}")
    if len(text) > most:
        text = text[: most - 1] + "…"
    # isprintable() is false for controls, surrogates and unassigned code points, and for spaces other than " ".
    if text.isprintable():
        return text
    return "".join(" " if (kind := category(letter)) == "Cc" else "�" if kind == "Cs" else letter for letter in text)
