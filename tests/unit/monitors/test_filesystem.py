from __future__ import annotations

import pytest

from tests.unit.monitors.conftest import CAPTURES, Measure, values
from twinwatch.monitors import Moment, Unreadable
from twinwatch.monitors.system.filesystem import Filesystem
from twinwatch.monitors.system.mounts import MOUNTINFO, Mount, watched
from twinwatch.testing.paper import PaperHost
from twinwatch.world.space import Space

ROOT = "28 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


def points(machine: str) -> list[str]:
    return [mount.point for mount in watched((CAPTURES[machine].folder / "first/proc/self/mountinfo").read_text())]


async def test_space_and_inodes_of_a_file_system(measure: Measure) -> None:
    found = await measure(Filesystem, "ubuntu-2204-storage")
    root = ("/dev/mapper/vg0-root", "/", "ext4")
    assert {key: value for key, value in found.items() if key[2] == "/"} == {
        ("system.filesystem.usage", *root, "used"): (51290592 - 41032473) * 4096,
        ("system.filesystem.usage", *root, "free"): 38410000 * 4096,
        ("system.filesystem.usage", *root, "reserved"): (41032473 - 38410000) * 4096,
        ("system.filesystem.utilization", *root): 0.2108,
        ("system.filesystem.inodes.usage", *root, "used"): 607200,
        ("system.filesystem.inodes.usage", *root, "free"): 12500000,
        ("system.filesystem.inodes.utilization", *root): 0.0463,
    }


async def test_a_file_system_that_makes_inodes_at_will_has_none(measure: Measure) -> None:
    found = await measure(Filesystem, "raspberry-pi-4")
    assert found["system.filesystem.utilization", "/dev/mmcblk0p1", "/boot/firmware", "vfat"] == 0.125
    assert not [key for key in found if "inodes" in key[0] and key[2] == "/boot/firmware"]


async def test_a_mount_that_tells_nothing_is_left_out(measure: Measure) -> None:
    assert "/mnt/remote" in points("ubuntu-2204-storage")
    assert not [key for key in await measure(Filesystem, "ubuntu-2204-storage") if key[2] == "/mnt/remote"]


def test_each_device_once_and_remote_ones_last() -> None:
    local = ["/", "/boot", "/boot/efi", "/data", "/tank", "/tank/archive", "/tmp", "/var"]
    assert points("ubuntu-2204-storage") == [*local, "/mnt/Team Files", "/mnt/backup", "/mnt/remote"]


def test_a_container_has_its_root_and_its_volumes() -> None:
    assert points("alpine-319-container") == ["/", "/data"]


def test_old_and_small_machines() -> None:
    assert points("rhel-80-vmware") == ["/", "/boot"]
    assert points("raspberry-pi-4") == ["/", "/boot/firmware"]
    assert points("debian-12-vm") == ["/"]


def test_of_two_mounts_on_one_point_the_later_is_seen() -> None:
    assert watched(ROOT + "29 28 8:2 / /srv rw - ext4 /dev/sdb1 rw\n30 28 8:3 / /srv rw - xfs /dev/sdc1 rw\n")[1:] == [
        Mount("/srv", "/dev/sdc1", "xfs")
    ]


def test_of_subvolumes_the_root_stands_for_all() -> None:
    home = "29 28 0:30 /@home /home rw shared:2 - btrfs /dev/sda2 rw\n"
    root = "28 1 0:30 /@ / rw shared:1 - btrfs /dev/sda2 rw\n"
    assert watched(home + root) == [Mount("/", "/dev/sda2", "btrfs")]


def test_escaped_names_are_read_as_they_are() -> None:
    line = "29 28 8:2 / /mnt/a\\040b\\134040\\043c rw - ext4 /dev/sdb1 rw\n"
    assert watched(line)[0].point == "/mnt/a b\\040#c"


@pytest.mark.parametrize(
    "line", ["x\n", "1 2 3 4 5 6 7\n", "1 2 8:1 / / rw ext4 - \n", "1 2 8:1 / srv rw - ext4 a rw\n"]
)
def test_a_line_that_is_no_mount_is_unreadable(line: str) -> None:
    with pytest.raises(Unreadable, match=MOUNTINFO):
        watched(ROOT + line)


def test_a_name_that_is_no_label_is_left_out() -> None:
    assert watched(ROOT + f"29 28 8:2 / /{'x' * 300} rw - ext4 /dev/sdb1 rw\n")[1:] == []


async def test_a_new_mount_is_seen_in_the_next_run() -> None:
    space = Space(4096, 100, 50, 40, 10, 5)
    spaces = {"/": space, "/srv": space}
    part = Filesystem()
    await part.read(PaperHost({MOUNTINFO: ROOT}, spaces), Moment(0, 0.0))
    both = PaperHost({MOUNTINFO: ROOT + "29 28 8:2 / /srv rw - ext4 /dev/sdb1 rw\n"}, spaces)
    assert {key[2] for key in values(await part.read(both, Moment(0, 15.0)))} == {"/", "/srv"}


async def test_a_server_that_claims_more_free_than_there_is_is_not_believed() -> None:
    host = PaperHost({MOUNTINFO: ROOT}, {"/": Space(4096, 100, 200, 2**63, 10, 20)})
    found = values(await Filesystem().read(host, Moment(0, 0.0)))
    assert found["system.filesystem.utilization", "/dev/sda1", "/", "ext4"] == 0
    assert min(found.values()) >= 0
