from __future__ import annotations

import os
import ssl

import pytest

from twinwatch.world.authorities import no_authorities


def test_within_nobody_is_trusted_and_afterwards_all_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/somewhere/authorities.pem")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with no_authorities():
        assert ssl.create_default_context().get_ca_certs() == []
    assert os.environ["SSL_CERT_FILE"] == "/somewhere/authorities.pem"
    assert "SSL_CERT_DIR" not in os.environ


def test_what_fails_within_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(KeyError), no_authorities():
        raise KeyError
    assert "SSL_CERT_FILE" not in os.environ
