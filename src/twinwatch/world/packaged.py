"""Files of a package beside its modules: SQL, pages."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def read_packaged(package: str, file: str) -> bytes:
    """The file's content; ``file`` is below the package's folder.

    Raises: OSError if there is none.
    """
    # pkgutil and importlib.resources do the same, for a hundred kilobytes and a megabyte in every agent.
    found: Any = import_module(package)
    content: bytes = found.__loader__.get_data(str(Path(found.__file__).parent / file))
    return content
