"""``setsockopt`` and ``getsockopt``: the options that there are, and Linux's errors for all others.

C's ``setsockopt`` here takes everything and does nothing; its ``getsockopt`` knows SO_ERROR. What each option
does is done by the page's side and by the proxy, which are told by name.
"""

from __future__ import annotations

import _socket
import operator
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pynet_browser.stdlib.addresses import AF_UNIX
from pynet_browser.stdlib.failures import checked, explained, failure
from pynet_browser.stdlib.patches import Patches

if TYPE_CHECKING:
    from pynet_browser.runtime import Network

__all__ = ["OPTIONS", "Option", "patch"]

Values: TypeAlias = list[str]
INET = frozenset({socket.AF_INET, socket.AF_INET6})
INET6 = frozenset({socket.AF_INET6})
EVERY = INET | {AF_UNIX}
STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
INT = struct.Struct("i")
INT_MAX = 2**31 - 1
BUFFER_LENGTH_MAX = 1024  # CPython's own bound

MINIMUM = {"SO_RCVBUF": 2304, "SO_SNDBUF": 4608}
"""Linux doubles the size that was asked for, and has these for less (SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF)."""


UNSETTABLE = {"IP_TTL", "IP_MULTICAST_TTL", "IPV6_UNICAST_HOPS", "IPV6_MULTICAST_HOPS", "IPV6_TCLASS"}
"""Options for which -1 means the default."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: its name in C, which travels.
        families: of sockets that have it.
        kinds: of sockets that have it.
        low: least value.
        high: largest value; a flag (``high`` 1) takes any number for true.
        default: what it is before it is set, as the bytes of ``getsockopt``.
        wrong_kind: errno's name on a socket of another kind.
        read: makes the values that travel from the bytes that were given.
    """

    name: str
    families: frozenset[int] = INET
    kinds: tuple[int, ...] = (STREAM, DATAGRAM)
    low: int = 0
    high: int = 1
    default: bytes = bytes(4)
    wrong_kind: str = "ENOPROTOOPT"
    read: Callable[[bytes], Values] | None = None


def patch(patches: Patches, network: Network) -> None:
    """Put our methods on ``socket.socket``."""
    for method in (_setter(network), _getter(network)):
        patches.set(socket.socket, method.__name__, explained(network, method))


# ── What travels, from the structures of C ────────────────────────────────────────────────────────────


def _linger(data: bytes) -> Values:
    on, seconds = struct.unpack_from("ii", _at_least(data, 8))
    return [str(int(bool(on))), str(seconds)]


def _membership(data: bytes) -> Values:
    """``struct ip_mreq``: group, interface; what ``ip_mreqn`` has behind them names the interface too."""
    group, interface = struct.unpack_from("4s4s", _at_least(data, 8))
    if group[0] & 0xF0 != 0xE0:  # noqa: PLR2004  RFC 1112 §4: class D
        raise failure("EINVAL")
    return [socket.inet_ntoa(group), socket.inet_ntoa(interface)]


def _membership6(data: bytes) -> Values:
    """``struct ipv6_mreq``: group, index of the interface."""
    import ipaddress

    group, index = struct.unpack_from("16sI", _at_least(data, 20))
    if group[0] != 0xFF:  # noqa: PLR2004  RFC 4291 §2.7
        raise failure("EINVAL")
    return [str(ipaddress.IPv6Address(group)), str(index)]


def _interface(data: bytes) -> Values:
    """``struct in_addr``, or the address of an ``ip_mreqn``."""
    at = 4 if len(data) >= 8 else 0  # noqa: PLR2004  size of ip_mreq
    return [socket.inet_ntoa(_at_least(data, 4)[at : at + 4])]


def _at_least(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise failure("EINVAL")
    return data


def _int(value: int) -> bytes:
    return INT.pack(value)


# ── The options ───────────────────────────────────────────────────────────────────────────────────────

TCP, IP, IPV6 = socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6
SOCKET = socket.SOL_SOCKET
JOIN, LEAVE = 35, 36
REUSEADDR, REUSEPORT = 2, 15

OPTIONS: dict[tuple[int, int], Option] = {
    (SOCKET, REUSEADDR): Option("SO_REUSEADDR", EVERY),
    (SOCKET, REUSEPORT): Option("SO_REUSEPORT", EVERY),
    (SOCKET, socket.SO_KEEPALIVE): Option("SO_KEEPALIVE", EVERY),
    (SOCKET, socket.SO_BROADCAST): Option("SO_BROADCAST", EVERY),
    (SOCKET, socket.SO_RCVBUF): Option("SO_RCVBUF", EVERY, low=-INT_MAX - 1, high=INT_MAX),
    (SOCKET, socket.SO_SNDBUF): Option("SO_SNDBUF", EVERY, low=-INT_MAX - 1, high=INT_MAX),
    (SOCKET, socket.SO_LINGER): Option("SO_LINGER", EVERY, default=bytes(8), read=_linger),
    (TCP, socket.TCP_NODELAY): Option("TCP_NODELAY", kinds=(STREAM,)),
    (TCP, socket.TCP_KEEPIDLE): Option(
        "TCP_KEEPIDLE", kinds=(STREAM,), low=1, high=32767, default=_int(7200)
    ),
    (TCP, socket.TCP_KEEPINTVL): Option(
        "TCP_KEEPINTVL", kinds=(STREAM,), low=1, high=32767, default=_int(75)
    ),
    (TCP, socket.TCP_KEEPCNT): Option("TCP_KEEPCNT", kinds=(STREAM,), low=1, high=127, default=_int(9)),
    (TCP, socket.TCP_USER_TIMEOUT): Option("TCP_USER_TIMEOUT", kinds=(STREAM,), high=INT_MAX),
    (IP, socket.IP_TTL): Option("IP_TTL", low=1, high=255, default=_int(64)),
    (IP, socket.IP_TOS): Option("IP_TOS", high=255),
    (IP, socket.IP_MULTICAST_TTL): Option(
        "IP_MULTICAST_TTL", kinds=(DATAGRAM,), high=255, default=_int(1), wrong_kind="EINVAL"
    ),
    (IP, socket.IP_MULTICAST_LOOP): Option("IP_MULTICAST_LOOP", default=_int(1)),
    (IP, socket.IP_MULTICAST_IF): Option(
        "IP_MULTICAST_IF", kinds=(DATAGRAM,), wrong_kind="EINVAL", read=_interface
    ),
    (IP, JOIN): Option("IP_ADD_MEMBERSHIP", kinds=(DATAGRAM,), wrong_kind="EPROTO", read=_membership),
    (IP, LEAVE): Option("IP_DROP_MEMBERSHIP", kinds=(DATAGRAM,), wrong_kind="EPROTO", read=_membership),
    (IPV6, socket.IPV6_V6ONLY): Option("IPV6_V6ONLY", INET6),
    (IPV6, socket.IPV6_UNICAST_HOPS): Option("IPV6_UNICAST_HOPS", INET6, high=255, default=_int(64)),
    (IPV6, socket.IPV6_TCLASS): Option("IPV6_TCLASS", INET6, high=255),
    (IPV6, socket.IPV6_MULTICAST_HOPS): Option(
        "IPV6_MULTICAST_HOPS", INET6, (DATAGRAM,), high=255, default=_int(1)
    ),
    (IPV6, socket.IPV6_MULTICAST_LOOP): Option("IPV6_MULTICAST_LOOP", INET6, default=_int(1)),
    (IPV6, socket.IPV6_MULTICAST_IF): Option("IPV6_MULTICAST_IF", INET6, (DATAGRAM,), high=INT_MAX),
    (IPV6, socket.IPV6_JOIN_GROUP): Option("IPV6_JOIN_GROUP", INET6, (DATAGRAM,), read=_membership6),
    (IPV6, socket.IPV6_LEAVE_GROUP): Option("IPV6_LEAVE_GROUP", INET6, (DATAGRAM,), read=_membership6),
}

READ_ONLY: dict[int, Callable[[Network, socket.socket], int]] = {
    socket.SO_TYPE: lambda _network, sock: int(sock.type),
    socket.SO_DOMAIN: lambda _network, sock: int(sock.family),
    socket.SO_PROTOCOL: lambda network, sock: (network.describe(sock.fileno()) or (0, 0, 0))[2],
    socket.SO_ACCEPTCONN: lambda network, sock: int(network.listening(sock.fileno())),
}
"""Options of SOL_SOCKET that only tell what a socket is."""


# ── The calls ─────────────────────────────────────────────────────────────────────────────────────────


def _setter(network: Network) -> Callable[..., None]:
    native = _socket.socket.setsockopt

    def setsockopt(
        self: socket.socket, level: int, optname: int, value: Any, optlen: int | None = None, /
    ) -> None:
        # C's, which does nothing, checks the arguments.
        native(self, level, optname, value, *(() if optlen is None else (optlen,)))
        option = _option(self, level, optname)
        data = _bytes_of(value, optlen)
        values = option.read(data) if option.read else [str(_number(option, _integer(level, data)))]
        checked(network.set_option(self.fileno(), option.name, values).wait())

    return setsockopt


def _getter(network: Network) -> Callable[..., int | bytes]:
    native = _socket.socket.getsockopt

    def getsockopt(self: socket.socket, level: int, optname: int, buflen: int = 0, /) -> int | bytes:
        level, optname, length = map(operator.index, (level, optname, buflen))
        if not 0 <= length <= BUFFER_LENGTH_MAX:
            raise OSError("getsockopt buflen out of range")
        if network.describe(self.fileno()) is None:
            raise failure("EBADF")
        if level == SOCKET and optname == socket.SO_ERROR:
            data = INT.pack(native(self, level, optname))
        elif level == SOCKET and optname in READ_ONLY:
            data = INT.pack(READ_ONLY[optname](network, self))
        else:
            if _is_foreign(self, level):
                raise failure("EOPNOTSUPP")
            option = _option(self, level, optname, reading=True)
            data = _stored(option, network.option(self.fileno(), option.name))
        return data[:length] if length else int(INT.unpack_from(data)[0])

    return getsockopt


def _option(sock: socket.socket, level: int, number: int, *, reading: bool = False) -> Option:
    """The option that is meant.

    Raises:
        OSError: there is none on this socket, with Linux's errno.
    """
    if sock.fileno() < 0:
        raise failure("EBADF")
    if sock.family == AF_UNIX and level != SOCKET:
        raise failure("EOPNOTSUPP")  # unix(7) sockets have no protocol to ask
    option = OPTIONS.get((level, number))
    if option is None or sock.family not in option.families:
        raise failure("ENOPROTOOPT")
    if sock.type not in option.kinds and (
        level == TCP or not reading
    ):  # both kinds have an IP header to read of
        raise failure(option.wrong_kind)
    return option


def _is_foreign(sock: socket.socket, level: int) -> bool:
    """Whether no part of the socket has options of this level; who asks for one is told otherwise."""
    return sock.family == socket.AF_INET and level not in (SOCKET, IP, _protocol_of(sock))


def _protocol_of(sock: socket.socket) -> int:
    return TCP if sock.type == STREAM else socket.IPPROTO_UDP


def _bytes_of(value: Any, length: int | None) -> bytes:
    if value is None:
        raise failure("EFAULT" if length and length >= INT.size else "EINVAL")  # there is nothing to read
    return INT.pack(operator.index(value)) if hasattr(value, "__index__") else bytes(memoryview(value))


def _integer(level: int, data: bytes) -> int:
    """The number in the bytes that were given; options of IP may be single bytes (ip(7))."""
    if level == IP and 0 < len(data) < INT.size:
        return data[0]
    return int(INT.unpack_from(_at_least(data, INT.size))[0])


def _number(option: Option, value: int) -> int:
    if option.name in MINIMUM:
        return max(value, MINIMUM[option.name] // 2)
    if option.low == 0 and option.high == 1:
        return int(bool(value))
    if value == -1 and option.name in UNSETTABLE:
        return int(INT.unpack(option.default)[0])
    if not option.low <= value <= option.high:
        raise failure("EINVAL")
    return value


def _stored(option: Option, values: Values | None) -> bytes:
    """What getsockopt answers."""
    if option.read in (_membership, _membership6):
        raise failure("ENOPROTOOPT")  # memberships can be set, and not asked for
    if values is None:
        return INT.pack(DEFAULT_BUFFER) if option.name in MINIMUM else option.default
    if option.name in MINIMUM:
        return INT.pack(min(2 * int(values[0]), INT_MAX))
    if option.read is _linger:
        return struct.pack("ii", *map(int, values))
    if option.read is _interface:
        return socket.inet_aton(values[0])
    return INT.pack(int(values[0]))


DEFAULT_BUFFER = 256 * 1024
"""Bytes of a new socket's window (docs/protocol.md)."""
