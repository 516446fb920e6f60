"""The minio monitor before the real MinIO: with the rights that the documentation names, and with drives that go."""

from __future__ import annotations

import base64
import hmac
import io
import json
import re
import time
from collections.abc import Iterator
from hashlib import sha512
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import Read, Until
from tests.real.programs import Running, program
from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors.minio import Minio
from twinwatch.monitors.options import options_of
from twinwatch.testing.ports import free_port

minio = pytest.importorskip("minio", reason="needs pip install 'twinwatch[s3]'")

ROOT = "root-of-the-tests", "password-of-root"
USER = "twinwatch", "password-of-twinwatch"
SETUP = Path(__file__).parents[2] / "docs" / "setup" / "minio.md"


class Cluster:
    """One server with four drives, of which one may be lost for writing and two for reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        for number in range(1, 5):
            (folder / f"d{number}").mkdir()
        self.process = Running(
            [program("minio"), "server", "--address", self.address, f"{folder}/d{{1...4}}"],
            folder / "log",
            MINIO_ROOT_USER=ROOT[0],
            MINIO_ROOT_PASSWORD=ROOT[1],
            MINIO_CI_CD="1",  # lets drives be folders of one disk
            MINIO_UPDATE="off",
            MINIO_BROWSER="off",
        )
        self.client = minio.Minio(self.address, *ROOT, secure=False, region="us-east-1")
        self.process.wait_until(self._is_there)

    def _is_there(self) -> bool:
        try:
            self.client.list_buckets()
        except Exception as err:
            raise ValueError(err) from err
        return True

    def prepare(self) -> None:
        """The buckets, policy and user of the documentation."""
        from minio.credentials.providers import StaticProvider

        for bucket in ("twinwatch", "backups", "closed"):
            self.client.make_bucket(bucket)
        self.client.put_object("backups", "shop/1.tar", io.BytesIO(b"x" * 2_000_000), 2_000_000)
        policy = re.search(r"```json\n(.*?)```", SETUP.read_text(), re.DOTALL)
        assert policy is not None
        admin = minio.MinioAdmin(endpoint=self.address, credentials=StaticProvider(*ROOT), secure=False)
        admin.policy_add(policy_name="twinwatch", policy=json.loads(policy[1]))
        admin.user_add(*USER)
        admin.policy_set("twinwatch", user=USER[0])

    def lose(self, number: int) -> None:
        """A drive is gone, and its place is taken."""
        drive = self.folder / f"d{number}"
        drive.rename(self.folder / f"lost{number}")
        drive.write_text("")

    def give_back(self, number: int) -> None:
        """The drive is there again, as it was."""
        drive = self.folder / f"d{number}"
        drive.unlink()
        (self.folder / f"lost{number}").rename(drive)

    def monitor(self, **options: Any) -> Minio:
        """A monitor with the least rights."""
        given = {
            "url": f"http://{self.address}",
            "metrics_token": token(*USER),
            "access_key": USER[0],
            "secret_key": USER[1],
            "canary": {"bucket": "twinwatch"},
            "expected": [{"bucket": "backups", "prefix": "shop/", "within": "26h"}],
            **options,
        }
        return Minio(options_of(Minio, given))


def token(user: str, secret: str) -> str:
    """What ``mc admin prometheus generate`` makes: a JWT of that user, signed with his secret key."""

    def part(content: bytes) -> bytes:
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    claims = {"exp": int(time.time()) + 3600, "sub": user, "iss": "prometheus"}
    head = b".".join(part(json.dumps(one).encode()) for one in ({"alg": "HS512", "typ": "JWT"}, claims))
    return (head + b"." + part(hmac.new(secret.encode(), head, sha512).digest())).decode()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    program("minio")
    cluster = Cluster(tmp_path_factory.mktemp("minio"))
    try:
        cluster.prepare()
        yield cluster
    finally:
        cluster.process.end()


WELL = dict.fromkeys(("live", "write-quorum", "read-quorum", "metrics", "drives", "nodes", "erasure"), ("up", ""))
BOTH = {**WELL, "canary": ("up", ""), "fresh:backups/shop/": ("up", "")}


@pytest.mark.parametrize("version", ["v3", "v2"])
async def test_with_the_documented_rights_all_is_well(cluster: Cluster, until: Until, version: str) -> None:
    found = await until(cluster.monitor(metrics=version), BOTH)
    told = values(found)
    assert told["minio.drive.count", "online"] == 4
    assert told["minio.erasure.tolerance", "0", "0", "write"] == 1
    assert told["minio.quorum.drives", "write"] == 3
    assert [key for key in told if key[0] == "minio.canary.duration"]
    assert not list(cluster.client.list_objects("twinwatch", recursive=True)), "the canary left something behind"


async def test_no_more_than_the_documented_rights_are_there(cluster: Cluster, read: Read) -> None:
    found = await read(cluster.monitor(canary={"bucket": "closed"}, expected=[{"bucket": "closed", "within": "1h"}]))
    assert checks(found)["canary"] == ("down", "no-rights")
    assert checks(found)["fresh:closed/"] == ("unknown", "refused")


async def test_a_bad_token_and_a_bad_key_are_told(cluster: Cluster, read: Read) -> None:
    found = await read(cluster.monitor(metrics_token=token(USER[0], "another"), secret_key="another-secret"))
    told = checks(found)
    assert told["metrics"] == ("degraded", "bad-token")
    assert told["drives"] == ("unknown", "bad-token")
    assert told["canary"] == ("down", "bad-credentials")
    assert told["live"] == ("up", "")


async def test_a_versioned_bucket_stays_clean(cluster: Cluster, read: Read) -> None:
    from minio.commonconfig import ENABLED
    from minio.versioningconfig import VersioningConfig

    cluster.client.set_bucket_versioning("twinwatch", VersioningConfig(ENABLED))
    found = await read(cluster.monitor())
    assert checks(found)["canary"] == ("up", "")
    assert not list(cluster.client.list_objects("twinwatch", recursive=True, include_version=True))


async def test_a_drive_then_quorum_is_lost_and_comes_back(cluster: Cluster, until: Until) -> None:
    newer, older = cluster.monitor(metrics="v3"), cluster.monitor(metrics="v2")
    await until(newer, WELL)
    cluster.lose(4)
    lost = {
        "drives": ("degraded", "offline"),
        "erasure": ("down", "no-tolerance"),
        "write-quorum": ("up", ""),
        "canary": ("up", ""),
    }
    await until(older, lost)
    await until(newer, lost)
    cluster.lose(3)
    await until(
        newer,
        {"write-quorum": ("down", "lost"), "read-quorum": ("up", ""), "canary": ("down", "quorum")},
    )
    cluster.lose(2)
    await until(older, {"read-quorum": ("down", "lost"), "live": ("up", "")})
    for number in (2, 3, 4):
        cluster.give_back(number)
    await until(older, {**BOTH, "metrics": ("up", "")})
    await until(newer, BOTH)
