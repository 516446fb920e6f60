from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from twinwatch.world.secret import SECRET_FILE_BYTES, Secret, SecretUnreadable, read_secret


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {secret!s} {secret:>10} {[secret]} {str(secret).upper()}"
    assert "hunter2" not in shown
    assert secret.reveal() == "hunter2"
    assert not hasattr(secret, "__dict__")


def test_a_secret_cannot_be_pickled_or_copied_out() -> None:
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            leak(Secret("hunter2"))


def test_secrets_compare_by_value_with_secrets_only() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("twe_key\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_a_closed_file_is_read(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert read_secret(file).reveal() == "twe_key"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602])
def test_an_open_file_is_refused_with_the_remedy(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(SecretUnreadable, match=f"chmod 600 {file}"):
        read_secret(file)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"a\nb\n", "several lines"),
        (b"\xff\xfe", "UTF-8"),
        (b"x" * (SECRET_FILE_BYTES + 1), "longer than"),
    ],
)
def test_what_is_no_secret_is_refused(file: Path, content: bytes, why: str) -> None:
    file.write_bytes(content)
    with pytest.raises(SecretUnreadable, match=why):
        read_secret(file)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SecretUnreadable, match="no such file"):
        read_secret(tmp_path / "missing")
