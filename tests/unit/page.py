"""What the page's side answers, for tests where there is no page."""

from __future__ import annotations

from typing import Any


class Plain:
    """An object of JavaScript that is here."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def to_py(self) -> Any:
        return self._value
