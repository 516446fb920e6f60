"""Builds the real programs that ``tests/real`` drives, from their own modules; for ``make test-real``.

``python -m tests.real.build FOLDER`` leaves ``minio``, ``tailscaled``, ``tailscale`` and ``headscale`` in the folder,
and says by name what was not to be had and why. What is there is not built again. The first time takes a quarter of an
hour, or more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

LOG_LINES = 3


class Module(NamedTuple):
    """A module at a version, and the programs in it: name to package."""

    path: str
    version: str
    programs: dict[str, str]


MODULES = (
    Module("github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c", {"minio": "."}),
    Module("tailscale.com", "v1.102.5", {"tailscaled": "./cmd/tailscaled", "tailscale": "./cmd/tailscale"}),
    Module("github.com/juanfont/headscale", "v0.29.0", {"headscale": "./cmd/headscale"}),
)


def main() -> int:
    """Builds what is missing. Never fails: what is not there, its tests are skipped for."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    for module in MODULES:
        missing = {name: package for name, package in module.programs.items() if not (folder / name).exists()}
        why = _build(go, module, missing, folder) if missing else ""
        names = ", ".join(module.programs)
        sys.stdout.write(f"{names}: {f'not to be had: {why}' if why else module.version}\n")
    return 0


def _build(go: str | None, module: Module, programs: dict[str, str], folder: Path) -> str:
    """Why it could not be built; empty if it was."""
    if go is None:
        return "there is no Go toolchain"
    found = _run([go, "mod", "download", "-json", f"{module.path}@{module.version}"], folder)
    try:
        told = json.loads(found.stdout)
    except ValueError:
        return f"no module {module.path}@{module.version}: {_end(found.stderr)}"
    if "Dir" not in told:
        return f"no module: {str(told.get('Error', ''))[:500]}"
    source = told["Dir"]
    with tempfile.TemporaryDirectory() as place:
        # In a copy of its own, its own go.mod and go.sum say what is built.
        copy = Path(place) / "module"
        shutil.copytree(source, copy)
        for path in (copy, *copy.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        for name, package in programs.items():
            sys.stdout.write(f"building {name} {module.version}\n")
            sys.stdout.flush()
            built = _run(["nice", "-n", "15", go, "build", "-o", str(folder / name), package], copy)
            if built.returncode:
                return f"{name} {module.version}: {_end(built.stderr)}"
    return ""


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _end(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and "downloading" not in line]
    return " | ".join(lines[-LOG_LINES:])[:500]


if __name__ == "__main__":
    sys.exit(main())
