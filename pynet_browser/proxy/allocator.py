"""How memory is kept, for a process that moves much data and has many objects that live long."""

from __future__ import annotations

import contextlib
import ctypes
import gc

__all__ = ["collect_seldom", "keep_freed_memory"]

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
"""Parameters of mallopt(3)."""

MMAP_FROM = 32 << 20
TRIM_FROM = 256 << 20

COLLECT_AFTER = (10_000, 10, 10)
"""Thresholds of Python's collector: objects more than there were, then collections of younger ones."""


def collect_seldom() -> None:
    """Let the collector look at sessions alone, and seldom at all of them; to be called when all is imported.

    While it looks at everything nobody is served: for 0.2 s with ten thousand sockets, at every quarter more
    of them, and for 0.05 s with none, measured. What of ours has ended needs no collector: it lets go of
    what leads back to it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def keep_freed_memory() -> None:
    """Let freed pieces be used again instead of being given back to the system.

    By default glibc maps each large piece anew and unmaps it when it is freed, so that every page of it is
    faulted in again: a third of the proxy's time in bulk, measured. What is kept is bounded by the limits on
    what sessions may hold. Elsewhere than on glibc this does nothing.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, MMAP_FROM)
        mallopt(M_TRIM_THRESHOLD, TRIM_FROM)
