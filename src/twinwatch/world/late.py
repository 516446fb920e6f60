"""A door that is made when somebody first goes through it, and its module imported then: an agent carries what it uses.

Invariant: nobody who uses the door can tell.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Late:
    """Stands for the object that ``name`` of ``module`` makes of ``settings``."""

    def __init__(self, module: str, name: str, **settings: Any) -> None:
        self._module = module
        self._name = name
        self._settings = settings
        self._door: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._door is None:
            self._door = getattr(import_module(self._module), self._name)(**self._settings)
        return getattr(self._door, name)

    async def close(self) -> None:
        """Closes the door, if anybody has gone through it and it can be closed."""
        close = getattr(self._door, "close", None)
        if close is not None:
            await close()


def late(module: str, name: str, **settings: Any) -> Any:
    """The door ``twinwatch.world.<module>.<name>``, made late."""
    return Late(f"twinwatch.world.{module}", name, **settings)
