"""Changes to existing modules and classes that can all be undone. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Patches"]

_ABSENT = object()


class Patches:
    """Remembers what each patched attribute was before."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, object]] = []
        self._undoing: list[Callable[[], object]] = []

    def set(self, owner: Any, name: str, value: object) -> None:
        """Replace an attribute of a module or class, or add it where the owner only inherits it."""
        before = vars(owner).get(name, _ABSENT)
        setattr(owner, name, value)
        self._before.append((owner, name, before))

    def at_undo(self, callback: Callable[[], object]) -> None:
        """Call this before everything is put back."""
        self._undoing.append(callback)

    def undo(self) -> None:
        """Put everything back, last change first."""
        while self._undoing:
            self._undoing.pop()()
        while self._before:
            owner, name, value = self._before.pop()
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
