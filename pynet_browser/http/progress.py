"""A line that shows how far a download is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["ProgressBar", "line", "shown_here"]

WIDTH = 24
EIGHTHS = " ▏▎▍▌▋▊▉"
EVERY = 0.1
"""Seconds between two pictures."""

UNITS = ("B", "kB", "MB", "GB", "TB")


def line(name: str, loaded: int, total: int | None, seconds: float) -> str:
    """One picture: how much of how much, and how fast."""
    speed = f"{size(loaded / seconds)}/s" if seconds > 0 else "–"
    if not total:
        return f"{name}: {size(loaded)}, {speed}"
    share = min(1.0, loaded / total)
    eighths = int(share * WIDTH * 8)
    bar = ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).ljust(WIDTH)[:WIDTH]
    return f"{name}: {share:4.0%}|{bar}| {size(loaded)} of {size(total)}, {speed}"


def size(count: float) -> str:
    """A number of bytes, with three digits that count."""
    for unit in UNITS[:-1]:
        if count < 999.5:  # noqa: PLR2004 - where four digits begin
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {UNITS[-1]}"


def shown_here(stream: TextIO) -> bool:
    """Whether somebody looks: in a terminal, or in a notebook."""
    ipython = sys.modules.get("IPython")
    return stream.isatty() or bool(ipython and ipython.get_ipython())


class ProgressBar:
    """Called as bytes come; draws a line on ``stream``, and ends it when it is closed.

    Args:
        name: what is downloaded.
        stream: where to; None for the standard error output.
        clock: tells seconds.
    """

    def __init__(
        self, name: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._stream = stream or sys.stderr
        self._clock = clock
        self._begun = self._next = clock()
        self._last: tuple[int, int | None] = (0, None)
        self._drawn = 0

    def __call__(self, loaded: int, total: int | None) -> None:
        """So many bytes have come, of so many if that is known."""
        self._last = (loaded, total)
        if (now := self._clock()) >= self._next:
            self._next = now + EVERY
            self._draw(now)

    def close(self) -> None:
        """Draw the last picture."""
        self._draw(self._clock())
        self._stream.write("\n")
        self._stream.flush()

    def _draw(self, now: float) -> None:
        text = line(self._name, *self._last, now - self._begun)
        self._stream.write("\r" + text.ljust(self._drawn))
        self._stream.flush()
        self._drawn = len(text)
