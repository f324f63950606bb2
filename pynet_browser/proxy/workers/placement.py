"""Which worker a request belongs to: told by the first line of it, before anybody has parsed it."""

from __future__ import annotations

import re
import zlib
from urllib.parse import unquote

__all__ = ["HEAD_MAX", "key_of", "target_in", "worker_of"]

HEAD_MAX = 8192
"""Bytes that are looked at; aiohttp takes no longer line."""

_LINE = re.compile(rb"[\r\n]*[!-~]+ ([!-~]+) HTTP/\d\.\d\r?\n")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROOM = re.compile(r"/signal/([^/?#]+)")


def target_in(head: bytes) -> str | None:
    """The target of a request, when its first line is there and is one of HTTP/1 (RFC 9112, section 3).

    Returns:
        None while the line is not complete; an empty string for what is none.
    """
    if b"\n" not in head.lstrip(b"\r\n"):
        return None
    line = _LINE.match(head)
    return line[1].decode("ascii") if line else ""


def key_of(target: str) -> str | None:
    """What all requests of one session, or of one room, have in common; None for those without such.

    Args:
        target: of the request, as it was sent: path and query.
    """
    path, _, query = target.partition("#")[0].partition("?")
    if room := _ROOM.fullmatch(path):
        return f"room {unquote(room[1])}"
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == "affinity":
            return value if _KEY.fullmatch(value) else None
    return None


def worker_of(key: str, count: int) -> int:
    """The number of the worker that a key belongs to, of so many: the same in every process."""
    return zlib.crc32(key.encode()) % count
