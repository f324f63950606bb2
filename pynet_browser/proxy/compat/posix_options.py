"""Socket options that programs with Emscripten's proxied sockets may read and set, numbered as in musl."""

from __future__ import annotations

import errno
import socket
import struct

from pynet_browser.proxy.compat.posix_errno import errno_of
from pynet_browser.proxy.endpoint import host_error
from pynet_browser.proxy.options import JOINING

__all__ = ["get_option", "joined_group", "pack_timeout", "set_option", "timeout_option", "unpack_timeout"]

SOL_SOCKET, IPPROTO_IP, IPPROTO_TCP, IPPROTO_IPV6 = 1, 0, 6, 41

LEVELS = {
    SOL_SOCKET: socket.SOL_SOCKET,
    IPPROTO_IP: socket.IPPROTO_IP,
    IPPROTO_TCP: socket.IPPROTO_TCP,
    IPPROTO_IPV6: socket.IPPROTO_IPV6,
}

READABLE = {(SOL_SOCKET, 3): "SO_TYPE", (SOL_SOCKET, 4): "SO_ERROR", (SOL_SOCKET, 30): "SO_ACCEPTCONN"}
"""Options that nobody sets."""

OPTIONS = {
    (SOL_SOCKET, 2): "SO_REUSEADDR",
    (SOL_SOCKET, 6): "SO_BROADCAST",
    (SOL_SOCKET, 7): "SO_SNDBUF",
    (SOL_SOCKET, 8): "SO_RCVBUF",
    (SOL_SOCKET, 9): "SO_KEEPALIVE",
    (SOL_SOCKET, 10): "SO_OOBINLINE",
    (SOL_SOCKET, 13): "SO_LINGER",
    (SOL_SOCKET, 15): "SO_REUSEPORT",
    (SOL_SOCKET, 18): "SO_RCVLOWAT",
    (IPPROTO_TCP, 1): "TCP_NODELAY",
    (IPPROTO_TCP, 2): "TCP_MAXSEG",
    (IPPROTO_TCP, 4): "TCP_KEEPIDLE",
    (IPPROTO_TCP, 5): "TCP_KEEPINTVL",
    (IPPROTO_TCP, 6): "TCP_KEEPCNT",
    (IPPROTO_TCP, 18): "TCP_USER_TIMEOUT",
    (IPPROTO_IP, 1): "IP_TOS",
    (IPPROTO_IP, 2): "IP_TTL",
    (IPPROTO_IP, 32): "IP_MULTICAST_IF",
    (IPPROTO_IP, 33): "IP_MULTICAST_TTL",
    (IPPROTO_IP, 34): "IP_MULTICAST_LOOP",
    (IPPROTO_IP, 35): "IP_ADD_MEMBERSHIP",
    (IPPROTO_IP, 36): "IP_DROP_MEMBERSHIP",
    (IPPROTO_IPV6, 16): "IPV6_UNICAST_HOPS",
    (IPPROTO_IPV6, 17): "IPV6_MULTICAST_IF",
    (IPPROTO_IPV6, 18): "IPV6_MULTICAST_HOPS",
    (IPPROTO_IPV6, 19): "IPV6_MULTICAST_LOOP",
    (IPPROTO_IPV6, 20): "IPV6_JOIN_GROUP",
    (IPPROTO_IPV6, 21): "IPV6_LEAVE_GROUP",
    (IPPROTO_IPV6, 26): "IPV6_V6ONLY",
    (IPPROTO_IPV6, 67): "IPV6_TCLASS",
}

TIMEOUTS = {20: "receive", 21: "send", 66: "receive", 67: "send"}
"""Of ``SOL_SOCKET``: the first two with 32-bit seconds, the others with 64-bit ones."""

VALUE_MAX = 64
_OLD_TIMEVAL = struct.Struct("<ii")
_TIMEVAL = struct.Struct("<qi4x")
MICROSECONDS = 1_000_000


def timeout_option(level: int, name: int) -> str | None:
    """``"receive"`` or ``"send"`` for the timeouts, which the host's own sockets cannot have."""
    return TIMEOUTS.get(name) if level == SOL_SOCKET else None


def unpack_timeout(value: bytes) -> float:
    """Seconds that a ``struct timeval`` holds, in either size.

    Raises:
        OSError: ``EINVAL``
    """
    layout = _TIMEVAL if len(value) >= _TIMEVAL.size else _OLD_TIMEVAL
    if len(value) < layout.size:
        raise host_error(errno.EINVAL)
    seconds, microseconds = layout.unpack_from(value)
    if not 0 <= microseconds < MICROSECONDS:
        raise host_error(errno.EDOM)
    return float(max(0, seconds) + microseconds / MICROSECONDS)


def pack_timeout(seconds: float, room: int) -> bytes:
    """A ``struct timeval`` in the size that there is room for."""
    whole, fraction = divmod(round(seconds * MICROSECONDS), MICROSECONDS)
    return (_TIMEVAL if room >= _TIMEVAL.size else _OLD_TIMEVAL).pack(whole, fraction)


def joined_group(level: int, name: int, value: bytes) -> str | None:
    """The group that would be joined, which the policy may refuse; None for other options.

    Raises:
        OSError: ``EINVAL``: there is none in the value.
    """
    if OPTIONS.get((level, name)) not in JOINING:
        return None
    family, size = (socket.AF_INET, 4) if level == IPPROTO_IP else (socket.AF_INET6, 16)
    if len(value) < size:
        raise host_error(errno.EINVAL)
    return socket.inet_ntop(family, value[:size])


def set_option(sock: socket.socket, level: int, name: int, value: bytes) -> None:
    """Set an option.

    Raises:
        OSError: ``ENOPROTOOPT`` for one that is not in the table, or the host's own error.
    """
    known = OPTIONS.get((level, name))
    number = getattr(socket, known, None) if known else None
    if number is None:
        raise host_error(errno.ENOPROTOOPT)
    sock.setsockopt(LEVELS[level], number, value[:VALUE_MAX])


def get_option(sock: socket.socket, level: int, name: int, room: int) -> bytes:
    """The value of an option, as far as there is room for it.

    Raises:
        OSError: ``ENOPROTOOPT`` for one that is not in the tables, or the host's own error.
    """
    known = OPTIONS.get((level, name)) or READABLE.get((level, name))
    number = getattr(socket, known, None) if known else None
    if number is None:
        raise host_error(errno.ENOPROTOOPT)
    value = sock.getsockopt(LEVELS[level], number, VALUE_MAX)
    if known == "SO_ERROR" and any(value):
        [error] = struct.unpack("@i", value)
        value = struct.pack("<i", errno_of(error))
    return value[:room]
