"""A real systemd for tests: PID 1 of its own namespaces, on a throw-away overlay of this machine's root.

Nothing outside its folder changes: the overlay and every mount end with its namespaces, and its control groups lie
below one of its own, which is removed. Needs root, ``unshare``, ``nsenter``, overlayfs, systemd and dbus-daemon;
``lacking()`` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

BOOT_SECONDS = 20.0
EXEC_SECONDS = 30.0
PROGRAMS = ("unshare", "nsenter", "dbus-daemon", "mount")
SYSTEMD = Path("/lib/systemd/systemd")
CGROUPS = Path("/sys/fs/cgroup")
MARK = "twinwatch-sandbox"

BOOT = r"""
set -e
for group in $GROUPS_OF_MINE; do echo $$ >"${group#*=}/cgroup.procs"; done
exec unshare --fork --kill-child --pid --mount --uts --ipc --cgroup "$BASH" -c '
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$DIR/layer"
mkdir -p "$DIR"/layer/up "$DIR"/layer/work "$DIR"/layer/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$DIR/layer/up,workdir=$DIR/layer/work" "$DIR/layer/root"
r=$DIR/layer/root
mount --bind "$DIR/run" "$r/run"
mount -t proc proc "$r/proc"
mount --rbind /sys "$r/sys"
mount --rbind /dev "$r/dev"
mount -t tmpfs tmpfs "$r/tmp"
printf "%s\n" "$SEEN" | while IFS= read -r seen; do
  [ -z "$seen" ] || { mkdir -p "$r$seen"; mount --bind "$seen" "$r$seen"; }
done
for group in $GROUPS_OF_MINE; do mount --bind "${group#*=}" "$r${group%%=*}"; done
rm -rf "$r"/etc/systemd/system/*.wants
mkdir -p "$r/etc/systemd/system" "$r/var/log/journal"
cp "$DIR"/units/* "$r/etc/systemd/system/"
export container=lxc
exec chroot "$r" /lib/systemd/systemd --system --unit="$TARGET" --log-target=console --log-level=warning
'
"""


class SandboxFailed(Exception):
    """It did not come up, or a command within it failed. The message says what was written."""


def lacking() -> str:
    """What this machine lacks for a sandbox; empty if nothing."""
    if os.geteuid() != 0:
        return "root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if not SYSTEMD.exists():
        missing.append(str(SYSTEMD))
    if "overlay" not in Path("/proc/filesystems").read_text():
        missing.append("overlayfs")
    return ", ".join(missing)


class SystemdSandbox:
    """One booted systemd. ``folder`` is an empty folder of its own, ``units`` the text of each unit by file name.

    ``unified``: control groups v2 alone, as on today's distributions, even where the machine mixes both.
    """

    def __init__(self, folder: Path, units: Mapping[str, str] | None = None, *, unified: bool = False) -> None:
        self.folder = folder
        self._units = dict(units or {})
        self._unified = unified
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: list[Path] = []

    @property
    def address(self) -> str:
        """Of its system bus, for ``DBUS_SYSTEM_BUS_ADDRESS``."""
        return f"unix:path={self.folder}/run/dbus/system_bus_socket"

    @property
    def pid(self) -> int:
        """Of its PID 1, as seen from outside; 0 before it runs."""
        if self._process is None:
            return 0
        # The shell became unshare, whose one child is PID 1 of the new namespace.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def start(self) -> None:
        """Boots it, and waits until its bus answers.

        Raises: SandboxFailed.
        """
        for name in ("run", "layer", "units"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        target = f"sandbox-{self.folder.name.replace('_', '-')}.target"
        (self.folder / "units" / target).write_text("[Unit]\nRequires=dbus.socket\nAfter=dbus.socket\n")
        for name, text in self._units.items():
            (self.folder / "units" / name).write_text(text)
        groups = _own_groups(f"{MARK}-{os.getpid()}-{self.folder.name}", unified=self._unified)
        self._groups = list(groups.values())
        environment = {
            **os.environ,
            "DIR": str(self.folder),
            "TARGET": target,
            "SEEN": "\n".join(_programs_of_ours_in_tmp()),
            "GROUPS_OF_MINE": " ".join(f"{CGROUPS if self._unified else at}={mine}" for at, mine in groups.items()),
        }
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a script of our own
                ["/bin/bash", "-c", BOOT], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip
        try:
            _wait(self._answers, BOOT_SECONDS)
        except TimeoutError:
            log_text = (self.folder / "log").read_text(errors="replace")[-2000:]
            self.stop()
            raise SandboxFailed(f"systemd did not come up: {log_text}") from None

    def exec(self, *arguments: str, check: bool = True) -> str:
        """Runs a command inside and returns what it wrote.

        Raises: SandboxFailed if it fails and ``check`` is set.
        """
        ended = subprocess.run(  # noqa: S603 - tests choose the command
            [shutil.which("nsenter") or "nsenter", "-t", str(self.pid), "-a", "-r", *arguments],
            capture_output=True, text=True, timeout=EXEC_SECONDS, check=False,
        )  # fmt: skip
        if check and ended.returncode:
            raise SandboxFailed(f"{' '.join(arguments)}: {ended.returncode}: {ended.stdout}{ended.stderr}")
        return ended.stdout + ended.stderr

    def put(self, name: str, text: str) -> None:
        """Writes a unit file within; ``exec("systemctl", "daemon-reload")`` makes it known."""
        self.exec("bash", "-c", f'printf %s "$1" >"/etc/systemd/system/{name}"', "put", text)

    def group_of(self, unit: str) -> Path:
        """The unit's folder in the unified hierarchy, as seen from outside."""
        # Others go while one looks, which os.walk passes over.
        for group in self._groups:
            for folder, _, files in os.walk(group):
                if Path(folder).name == unit and "cgroup.events" in files:
                    return Path(folder)
        raise SandboxFailed(f"{unit}: has no control group")

    def stop(self) -> None:
        """Ends it: with PID 1 the kernel ends everything in the namespaces."""
        if self._process is None:
            return
        with suppress(OSError, IndexError):
            if pid := self.pid:  # it may have powered itself off; 0 would be our own process group
                os.kill(pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        with suppress(TimeoutError):  # the kernel lets go of the last processes a moment later
            _wait(self._groups_are_gone, FAREWELL_SECONDS)

    def __enter__(self) -> SystemdSandbox:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise TimeoutError
        if not (self.folder / "run/dbus/system_bus_socket").exists() or not self.pid:
            return False
        state = self.exec("systemctl", "is-system-running", check=False).strip()
        return state in {"running", "degraded"}

    def _groups_are_gone(self) -> bool:
        for group in self._groups:
            for folder, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
        return not any(group.exists() for group in self._groups)


FAREWELL_SECONDS = 3.0


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    """Until ``condition`` holds.

    Raises: TimeoutError.
    """
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.02)


def _own_groups(name: str, *, unified: bool) -> dict[Path, Path]:
    """A control group of our own in every hierarchy, below the one we are in, by where the hierarchy is mounted.

    So two sandboxes never share one, and none is left in the machine's own tree.
    """
    made: dict[Path, Path] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "cpuset" or (unified and controllers):
            continue  # a new cpuset has neither processors nor memory, and can hold nobody
        mount = _mounted(controllers)
        group = mount / path.lstrip("/") / name
        if group.parent.is_dir():
            with suppress(OSError):
                group.mkdir(exist_ok=True)
                made[mount] = group
    return made


def _mounted(controllers: str) -> Path:
    if not controllers:
        return CGROUPS / "unified" if (CGROUPS / "unified").is_dir() else CGROUPS
    return CGROUPS / controllers.removeprefix("name=")


def _programs_of_ours_in_tmp() -> list[str]:
    """What units of ours run, where that lies in ``/tmp``, which within is another one."""
    places = {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[2]}
    return sorted(str(place) for place in places if place.is_relative_to("/tmp"))  # noqa: S108 - it is looked at
