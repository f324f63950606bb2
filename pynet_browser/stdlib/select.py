"""``select.select``, which in Pyodide's C library never waits: built on ``poll``, which does."""

from __future__ import annotations

import errno
import math
import os
import select as select_module
import selectors
import time
from collections.abc import Iterable
from typing import Any, TypeAlias

from pynet_browser.stdlib.patches import Patches

__all__ = ["patch"]

Waitable: TypeAlias = Any
"""A file descriptor, or an object with a ``fileno`` method."""

TIMEOUT_MAX = 2**31 - 1
"""Longest wait of ``poll`` (ms): 24 days, after which nothing is ready."""

READ = select_module.POLLIN | select_module.POLLHUP | select_module.POLLERR
WRITE = select_module.POLLOUT | select_module.POLLERR


def patch(patches: Patches) -> None:
    """Replace ``select.select``, also where ``selectors`` has kept it."""
    patches.set(select_module, "select", select)
    patches.set(selectors.SelectSelector, "_select", staticmethod(select))


def select(
    rlist: Iterable[Waitable],
    wlist: Iterable[Waitable],
    xlist: Iterable[Waitable],
    timeout: float | None = None,
    /,
) -> tuple[list[Waitable], list[Waitable], list[Waitable]]:
    """Wait until one of the objects is ready; see ``select.select``.

    Args:
        rlist: what should become readable.
        wlist: what should become writable.
        xlist: what should meet an exceptional condition.
        timeout: seconds; None waits without end, 0 not at all.

    Returns:
        The subsets of the three lists that are ready.

    Raises:
        OSError: EBADF for a descriptor that is not open.
        TypeError: an object is neither descriptor nor has ``fileno``; a timeout that is no number.
        ValueError: a negative timeout.
    """
    milliseconds = _milliseconds(timeout)
    wanted = [
        ([(_descriptor(waitable), waitable) for waitable in waitables], asked, answers)
        for waitables, asked, answers in (
            (rlist, select_module.POLLIN, READ),
            (wlist, select_module.POLLOUT, WRITE),
            (xlist, select_module.POLLPRI, select_module.POLLPRI),
        )
    ]
    masks: dict[int, int] = {}
    for waitables, asked, _ in wanted:
        for descriptor, _ in waitables:
            masks[descriptor] = masks.get(descriptor, 0) | asked
    if not masks and milliseconds is not None:
        time.sleep(milliseconds / 1000)
        return [], [], []
    poller = select_module.poll()
    for descriptor, mask in masks.items():
        poller.register(descriptor, mask)
    ready = dict(poller.poll(milliseconds))
    if any(events & select_module.POLLNVAL for events in ready.values()):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    readable, writable, exceptional = (
        [waitable for descriptor, waitable in waitables if ready.get(descriptor, 0) & answers]
        for waitables, _, answers in wanted
    )
    return readable, writable, exceptional


def _descriptor(waitable: Waitable) -> int:
    descriptor = waitable if isinstance(waitable, int) else getattr(waitable, "fileno", None)
    if callable(descriptor):
        descriptor = descriptor()
    if not isinstance(descriptor, int):
        raise TypeError("argument must be an int, or have a fileno() method")
    if descriptor < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({descriptor})")
    return descriptor


def _milliseconds(timeout: float | None) -> int | None:
    if timeout is None:
        return None
    if not isinstance(timeout, int | float):
        raise TypeError("timeout must be a float or None")
    if timeout < 0:
        raise ValueError("timeout must be non-negative")
    return min(math.ceil(timeout * 1000), TIMEOUT_MAX)
