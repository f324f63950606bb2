"""How the C library keeps memory, for a process that moves much data in pieces of some hundred KiB."""

from __future__ import annotations

import contextlib
import ctypes

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
"""Parameters of mallopt(3)."""

MMAP_FROM = 32 << 20
TRIM_FROM = 256 << 20


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
