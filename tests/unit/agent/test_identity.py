from __future__ import annotations

import stat
from pathlib import Path

import pytest

from twinwatch.agent.identity import (
    FILE,
    Identity,
    IdentityUnusable,
    Registration,
    keep_identity,
    known_identity,
    load_identity,
)
from twinwatch.testing.paper import PaperHost


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


def machine(system: str = "", product: str = "") -> PaperHost:
    files = {"/etc/machine-id": system, "/sys/class/dmi/id/product_uuid": product}
    return PaperHost({path: f"{text}\n" for path, text in files.items() if text})


FIRST = machine("0123456789abcdef", "AAAA-1")


def enrolled(state_dir: Path, host: PaperHost) -> Identity:
    made = known_identity(state_dir, host, may_enrol=True)
    kept = Identity(made.install_id, Registration("https://hub", "uuid", "tws_secret"), made.machine)
    keep_identity(state_dir, kept)
    return kept


def test_the_ids_of_a_machine_are_kept_hashed_only(tmp_path: Path) -> None:
    enrolled(tmp_path, FIRST)
    text = (tmp_path / FILE).read_text()
    assert "0123456789abcdef" not in text
    assert "aaaa" not in text.lower()


@pytest.mark.parametrize(
    "other", [machine("fedcba", "BBBB-2"), machine("0123456789abcdef", "BBBB-2"), machine("fedcba")]
)
def test_a_copy_on_another_machine_is_refused_without_a_key_and_enrolled_anew_with_one(
    tmp_path: Path, other: PaperHost
) -> None:
    first = enrolled(tmp_path, FIRST)
    (tmp_path / "buffer.sqlite3").write_text("its ticks")
    with pytest.raises(IdentityUnusable, match="made on another machine") as caught:
        known_identity(tmp_path, other, may_enrol=False)
    assert str(tmp_path / FILE) in str(caught.value)
    fresh = known_identity(tmp_path, other, may_enrol=True)
    assert fresh.install_id != first.install_id
    assert fresh.registration is None
    assert not (tmp_path / "buffer.sqlite3").exists()
    assert (tmp_path / "buffer.sqlite3.other-machine").read_text() == "its ticks"
    assert known_identity(tmp_path, other, may_enrol=False) == fresh


@pytest.mark.parametrize(
    "same",
    [FIRST, machine("fedcba", "aaaa-1"), machine("0123456789abcdef"), machine(), machine("uninitialized", "0000-0000")],
)
def test_the_same_machine_is_no_other(tmp_path: Path, same: PaperHost) -> None:
    first = enrolled(tmp_path, FIRST)
    assert known_identity(tmp_path, same, may_enrol=False).registration == first.registration


def test_an_identity_from_before_machines_were_remembered_becomes_this_ones(tmp_path: Path) -> None:
    made = load_identity(tmp_path)
    assert known_identity(tmp_path, FIRST, may_enrol=False).install_id == made.install_id
    with pytest.raises(IdentityUnusable):
        known_identity(tmp_path, machine("fedcba", "BBBB"), may_enrol=False)
