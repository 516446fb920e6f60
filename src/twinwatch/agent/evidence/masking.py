"""Lines that others wrote, without what looks like a password, a token or a key. Pure.

A guess, and on the side of hiding too much: names that tell (``password=``, ``api_key:``, ``Authorization:``),
addresses with a password in them, and shapes that nothing else has.
"""

from __future__ import annotations

import re

MASK = "***"
LOOKED_AT = 4_000
"""Of a line; what is beyond that is cut off before anything is looked for."""

_ADDRESS = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,200}):[^\s/@]{1,500}@", re.IGNORECASE)
_HEADER = re.compile(r"\b((?:proxy-)?authorization|cookie|set-cookie)(\W{1,4})\S.*", re.IGNORECASE)
_NAMED = re.compile(
    r"([\w.-]{0,60}(?:passw(?:or)?d|passwd|pwd|passphrase|secret|token|credential|(?:api|access|private|auth)[_-]?key)"
    r"[\w-]{0,40}[\"']?\s{0,3}(?:=>|[=:])\s{0,3})(\"[^\"]*\"?|'[^']*'?|[^\s,;&)}\]]+)",
    re.IGNORECASE,
)
_OPTION = re.compile(r"(--?(?:password|passwd|pass|secret|token|api-key)\s+)\S+", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer|basic|digest)\s+[a-z0-9._~+/=-]{8,}", re.IGNORECASE)
_SHAPES = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"  # a JSON Web Token
    r"|\b(?:tw[a-z]_|xox[a-z]-|gh[a-z]_|github_pat_|glpat-|[sr]k_live_|AKIA|AIza|SG\.)[\w.-]{12,}"
    r"|\b[0-9a-fA-F]{40,}\b"
    r"|[A-Za-z0-9+/]{60,}={0,2}"  # a line of a PEM file
)


def masked(line: str) -> str:
    """The line with ``***`` in the place of what may be secret."""
    line = line[:LOOKED_AT]
    line = _ADDRESS.sub(rf"\1:{MASK}@", line)
    line = _HEADER.sub(rf"\1\2{MASK}", line)
    line = _NAMED.sub(rf"\1{MASK}", line)
    line = _OPTION.sub(rf"\1{MASK}", line)
    line = _BEARER.sub(rf"\1 {MASK}", line)
    return _SHAPES.sub(MASK, line)
