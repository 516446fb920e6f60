"""Whom TLS trusts, read when it is needed and not before."""

from __future__ import annotations

import os
import ssl
from contextlib import AbstractContextManager

from twinwatch.world.variables import variables

PLACES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""What OpenSSL takes in place of the system's own (openssl-env(7))."""


def tls_context(*, verify: bool = True) -> ssl.SSLContext:
    """A client's context that trusts whom the system does; ``verify`` false: everybody, under any name."""
    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def no_authorities() -> AbstractContextManager[None]:
    """Contexts that are made within trust nobody, and cost nothing. For imports that make them unasked."""
    return variables(dict.fromkeys(PLACES, os.devnull))
