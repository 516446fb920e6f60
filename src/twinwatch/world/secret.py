"""Keys and passwords: a text that does not show itself, and the file it is read from."""

from __future__ import annotations

import base64
import hmac
import os
import stat
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, quote_plus

SECRET_FILE_BYTES = 8_192

_OTHERS = stat.S_IRWXO | stat.S_IWGRP


class SecretUnreadable(Exception):
    """A secret file that is missing, open to others, empty or not one line. The message names the remedy."""


class Secret:
    """A text that prints as ``***`` however it is formatted, cannot be pickled and compares in constant time."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: reveal() it where it is used")


def hidden(text: str, *secrets: Secret | None) -> str:
    """The text with ``***`` for each of the secrets, as they are, as URLs spell them and in base64: for what others
    said, who may have heard them."""
    for secret in sorted((one.reveal() for one in secrets if one), key=len, reverse=True):
        for spelling in (
            secret,
            quote(secret, "", errors="replace"),
            quote_plus(secret, errors="replace"),
            _encoded(secret),
        ):
            text = text.replace(spelling, "***")
    return text


def _encoded(secret: str) -> str:
    return base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode()


def read_secret(path: Path) -> Secret:
    """The one line of a file that nobody but its owner and group may read.

    Raises: SecretUnreadable if the file is missing, open to others (with the ``chmod`` that mends it), empty, longer
    than ``SECRET_FILE_BYTES`` or of several lines.
    """
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_mode & _OTHERS:
                mode = stat.S_IMODE(facts.st_mode)
                raise SecretUnreadable(f"{path}: others have rights on it (mode {mode:04o}); run: chmod 600 {path}")
            content = file.read(SECRET_FILE_BYTES + 1)
    except OSError as err:
        raise SecretUnreadable(f"{path}: {(err.strerror or str(err)).lower()}") from err
    if len(content) > SECRET_FILE_BYTES:
        raise SecretUnreadable(f"{path}: longer than {SECRET_FILE_BYTES} bytes; expected one line with the secret")
    try:
        lines = content.decode("utf-8").strip().splitlines()
    except UnicodeDecodeError as err:
        raise SecretUnreadable(f"{path}: not UTF-8 text; expected one line with the secret") from err
    if len(lines) != 1:
        raise SecretUnreadable(
            f"{path}: {'empty' if not lines else 'several lines'}; expected one line with the secret"
        )
    return Secret(lines[0].strip())
