"""What an operator may set, and the one line that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinwatch.hub.settings import Misconfigured, Settings, settings_from
from twinwatch.hub.stores.engines import Engine


def settings(folder: Path, *, listen: str = "127.0.0.1:8400", public_url: str = "", **environment: str) -> Settings:
    return settings_from(
        database_url="", data_dir=folder, listen=listen, public_url=public_url, environment=environment
    )


def test_the_secret_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    first, second = settings(tmp_path).secret, settings(tmp_path).secret
    assert first == second
    assert len(first.reveal()) == 64
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0


def test_a_secret_that_anyone_can_guess_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="TWINWATCH_SECRET is shorter"):
        settings(tmp_path, TWINWATCH_SECRET="secret")
    (tmp_path / "secret").touch()
    with pytest.raises(Misconfigured, match="secret is shorter"):
        settings(tmp_path)


@pytest.mark.parametrize("url", ["https://hub.example.org", "https://hub.example.org/", "http://[::1]:8400"])
def test_a_public_url_is_a_host_of_its_own(tmp_path: Path, url: str) -> None:
    assert settings(tmp_path, public_url=url).public_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["hub.example.org", "https://", "ftp://hub", "https://hub/twinwatch", "https://hub?x=1", "http://[", "//hub"]
)
def test_other_public_urls_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Misconfigured, match="public URL"):
        settings(tmp_path, public_url=url)


@pytest.mark.parametrize("listen", ["localhost", "localhost:http", "127.0.0.1:0", "127.0.0.1:65536"])
def test_an_address_without_a_port_is_refused(tmp_path: Path, listen: str) -> None:
    with pytest.raises(Misconfigured, match="HOST:PORT"):
        settings(tmp_path, listen=listen)


@pytest.mark.parametrize("days", ["0", "-1", "week", "1.5", "99999999"])
def test_samples_are_kept_for_days_that_a_calendar_has(tmp_path: Path, days: str) -> None:
    with pytest.raises(Misconfigured, match="TWINWATCH_RETENTION_DAYS"):
        settings(tmp_path, TWINWATCH_RETENTION_DAYS=days)


@pytest.mark.parametrize(("late", "down"), [("nan", "120"), ("0", "120"), ("120", "120"), ("90", "soon")])
def test_late_comes_before_down(tmp_path: Path, late: str, down: str) -> None:
    with pytest.raises(Misconfigured, match="TWINWATCH_DOWN_AFTER"):
        settings(tmp_path, TWINWATCH_LATE_AFTER=late, TWINWATCH_DOWN_AFTER=down)


def test_samples_are_kept_where_they_are_said_to_be(tmp_path: Path) -> None:
    assert settings(tmp_path).engine == Engine("automatic")
    assert settings(tmp_path, TWINWATCH_SAMPLE_STORE="blocks").engine == Engine("blocks")
    assert settings(tmp_path, TWINWATCH_SAMPLE_STORE=" timescale ").engine == Engine("timescale")
    single = settings(tmp_path, TWINWATCH_SAMPLE_STORE="victoriametrics:http://a:8428/").engine
    assert single == Engine("victoriametrics", ("http://a:8428",))
    cluster = settings(tmp_path, TWINWATCH_SAMPLE_STORE="victoriametrics:http://a:8480, https://b/vm").engine
    assert cluster == Engine("victoriametrics", ("http://a:8480", "https://b/vm"))


@pytest.mark.parametrize(
    "text",
    [
        "prometheus",
        "automatic",
        "blocks:http://hidden",
        "timescale:http://hidden",
        ":http://hidden",
        "victoriametrics",
        "victoriametrics:hidden:8428",
        "victoriametrics:ftp://hidden",
        "victoriametrics:http://hidden,http://hidden,http://hidden",
        "victoriametrics:http://hidden:port",
        "victoriametrics:http://u:hidden@a?x=1",
    ],
)
def test_a_store_that_is_none_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(Misconfigured, match="TWINWATCH_SAMPLE_STORE") as caught:
        settings(tmp_path, TWINWATCH_SAMPLE_STORE=text)
    assert "hidden" not in str(caught.value)
