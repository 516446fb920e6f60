from __future__ import annotations

import stat
from pathlib import Path

import pytest

from twinwatch.agent.identity import FILE, Identity, IdentityUnusable, Registration, keep_identity, load_identity


def test_an_install_id_is_made_once_and_kept(tmp_path: Path) -> None:
    first = load_identity(tmp_path)
    assert load_identity(tmp_path) == first
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_registration_is_kept_and_does_not_show_its_key(tmp_path: Path) -> None:
    made = load_identity(tmp_path)
    kept = Identity(made.install_id, Registration("https://h", "uuid", "tws_secret", 7))
    keep_identity(tmp_path, kept)
    assert load_identity(tmp_path) == kept
    assert "tws_secret" not in repr(kept)
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"install_id": 3}'])
def test_a_damaged_file_is_said_with_the_remedy_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(IdentityUnusable, match="move it away"):
        load_identity(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_leftover_of_a_crash_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.new").write_text("half of")
    assert load_identity(tmp_path) == load_identity(tmp_path)
