"""Socket options that pages may set, by their names in C: the table of docs/protocol.md."""

from __future__ import annotations

import errno
import re
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Protocol

from pynet_browser.proxy.endpoint import host_error

__all__ = ["JOINING", "set_option", "window_size"]

JOINING = {"IP_ADD_MEMBERSHIP", "IPV6_JOIN_GROUP"}
"""Options whose first value is a group that the policy may refuse."""


class HasOptions(Protocol):
    """A socket, or what transports give for one."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set an option."""


def set_option(sock: HasOptions, name: str, values: Sequence[str]) -> None:
    """Set an option of a socket of the host.

    Raises:
        OSError: ``ENOPROTOOPT`` for an option that is not in the table or not of this system, ``EINVAL`` for
            values of another kind than its own, or the system's own error.
    """
    number = getattr(socket, name, None) if name in OPTIONS else None
    if number is None:
        raise host_error(errno.ENOPROTOOPT)
    sock.setsockopt(LEVELS[name.partition("_")[0]], number, _value(name, values))


def window_size(values: Sequence[str]) -> int:
    """The size that ``SO_SNDBUF`` gives a window.

    Raises:
        OSError: ``EINVAL``
    """
    [size] = struct.unpack("@i", _value("SO_SNDBUF", values))
    return int(size)


def _value(name: str, values: Sequence[str]) -> bytes:
    try:
        return OPTIONS[name](*values)
    except (TypeError, ValueError, OSError, struct.error) as error:
        raise host_error(errno.EINVAL) from error


_DECIMAL = re.compile(r"-?[0-9]{1,10}", re.ASCII)


def _number(text: str) -> bytes:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return struct.pack("@i", int(text))


def _ipv4(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET, address)


def _ipv4_membership(group: str, interface: str) -> bytes:
    return _ipv4(group) + _ipv4(interface)


def _ipv6_membership(group: str, interface: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, group) + _number(interface)


LEVELS = {
    "SO": socket.SOL_SOCKET,
    "TCP": socket.IPPROTO_TCP,
    "IP": socket.IPPROTO_IP,
    "IPV6": socket.IPPROTO_IPV6,
}

OPTIONS: dict[str, Callable[..., bytes]] = {
    "SO_REUSEADDR": _number,
    "SO_REUSEPORT": _number,
    "SO_KEEPALIVE": _number,
    "SO_BROADCAST": _number,
    "SO_SNDBUF": _number,
    "TCP_NODELAY": _number,
    "TCP_KEEPIDLE": _number,
    "TCP_KEEPINTVL": _number,
    "TCP_KEEPCNT": _number,
    "TCP_USER_TIMEOUT": _number,
    "IP_TTL": _number,
    "IP_TOS": _number,
    "IP_MULTICAST_TTL": _number,
    "IP_MULTICAST_LOOP": _number,
    "IP_MULTICAST_IF": _ipv4,
    "IP_ADD_MEMBERSHIP": _ipv4_membership,
    "IP_DROP_MEMBERSHIP": _ipv4_membership,
    "IPV6_V6ONLY": _number,
    "IPV6_UNICAST_HOPS": _number,
    "IPV6_TCLASS": _number,
    "IPV6_MULTICAST_HOPS": _number,
    "IPV6_MULTICAST_LOOP": _number,
    "IPV6_MULTICAST_IF": _number,
    "IPV6_JOIN_GROUP": _ipv6_membership,
    "IPV6_LEAVE_GROUP": _ipv6_membership,
}
"""What makes the value of each of the texts on the wire."""
