"""What programs with Emscripten's proxied POSIX sockets say: calls, and what they return. Pure.

Each binary message is one call: its number, which function it is, and its arguments. Each is answered by one
message with the same number: what the function returns, an errno, and more for some. All integers are 32-bit
little-endian. Lengths that a program claims are cut to what its message holds.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

__all__ = [
    "ANSWER",
    "CALL",
    "EVENTS",
    "INET",
    "INET6",
    "Accept",
    "AddressInfo",
    "Call",
    "CallError",
    "Function",
    "Getaddrinfo",
    "Getsockopt",
    "Name",
    "Recv",
    "Recvfrom",
    "Send",
    "Sendto",
    "Setsockopt",
    "Shutdown",
    "SockAddr",
    "Socket",
    "ToAddress",
    "address_infos",
    "answer",
    "head_of",
    "pack_address",
    "parse",
    "parse_address",
    "received_from",
    "with_address",
]

CALL = struct.Struct("<II")
ANSWER = struct.Struct("<Iii")

INET, INET6 = 2, 10
"""Address families, as in musl."""

NODE_MAX = 2048
SERVICE_MAX = 128
SENDTO_ADDRESS = 256
SENDTO_DATA = 280
"""Where the data of a ``sendto`` begins, behind room for an address."""

CUT_SHORT = 240
"""How much shorter a ``getsockname`` is than the room for an address that it wants: a slip of the client's.

It means to send 16 bytes, sends none where there is room for less than 241, and some between that and 256.
"""

_IPV4 = struct.Struct("<H2s4s8x")
_IPV6 = struct.Struct("<H2sI16sI")


class CallError(ValueError):
    """A call cannot be understood.

    Attributes:
        errno: its name.
    """

    def __init__(self, errno: str, message: str) -> None:
        super().__init__(message)
        self.errno = errno


class Function(IntEnum):
    """What may be called."""

    SOCKET = 1
    SOCKETPAIR = 2
    SHUTDOWN = 3
    BIND = 4
    CONNECT = 5
    LISTEN = 6
    ACCEPT = 7
    GETSOCKNAME = 8
    GETPEERNAME = 9
    SEND = 10
    RECV = 11
    SENDTO = 12
    RECVFROM = 13
    SENDMSG = 14
    RECVMSG = 15
    GETSOCKOPT = 16
    SETSOCKOPT = 17
    GETADDRINFO = 18
    GETNAMEINFO = 19


EVENTS: dict[int, str] = {
    Function.CONNECT: "connect",
    Function.SENDTO: "connect",
    Function.BIND: "listen",
    Function.LISTEN: "listen",
    Function.SOCKET: "open",
    Function.ACCEPT: "accept",
}
"""What calls are called in the log."""


SHORTEST = {
    Function.SOCKETPAIR: 20,
    Function.GETSOCKNAME: 16,
    Function.GETPEERNAME: 16,
    Function.GETADDRINFO: 16 + NODE_MAX,
}
"""Answers that the client drops when they are shorter, and then waits forever; ``ANSWER.size`` for others."""


@dataclass(frozen=True, slots=True)
class SockAddr:
    """An address.

    Attributes:
        family: ``INET`` or ``INET6``.
        host: numeric.
        port: 0 to 65535.
    """

    family: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Socket:
    """``socket`` and ``socketpair``."""

    domain: int
    type: int
    protocol: int


@dataclass(frozen=True, slots=True)
class Shutdown:
    """``shutdown``, and ``listen``, whose backlog is called ``how`` too."""

    fd: int
    how: int


@dataclass(frozen=True, slots=True)
class ToAddress:
    """``bind`` and ``connect``."""

    fd: int
    address: SockAddr


@dataclass(frozen=True, slots=True)
class Accept:
    """``accept``; ``room`` is what there is for the address."""

    fd: int
    room: int


@dataclass(frozen=True, slots=True)
class Name:
    """``getsockname`` and ``getpeername``."""

    fd: int
    room: int


@dataclass(frozen=True, slots=True)
class Send:
    """``send``."""

    fd: int
    flags: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class Sendto:
    """``sendto``; without an address it is ``send``."""

    fd: int
    flags: int
    address: SockAddr | None
    data: memoryview


@dataclass(frozen=True, slots=True)
class Recv:
    """``recv``."""

    fd: int
    length: int
    flags: int


@dataclass(frozen=True, slots=True)
class Recvfrom:
    """``recvfrom``."""

    fd: int
    length: int
    flags: int
    room: int


@dataclass(frozen=True, slots=True)
class Getsockopt:
    """``getsockopt``."""

    fd: int
    level: int
    name: int
    room: int


@dataclass(frozen=True, slots=True)
class Setsockopt:
    """``setsockopt``."""

    fd: int
    level: int
    name: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Getaddrinfo:
    """``getaddrinfo``; texts that are empty were NULL."""

    node: str
    service: str
    flags: int
    family: int
    socktype: int
    protocol: int


@dataclass(frozen=True, slots=True)
class AddressInfo:
    """One entry of the answer to ``getaddrinfo``."""

    socktype: int
    protocol: int
    address: SockAddr


Call: TypeAlias = (
    Socket
    | Shutdown
    | ToAddress
    | Accept
    | Name
    | Send
    | Sendto
    | Recv
    | Recvfrom
    | Getsockopt
    | Setsockopt
    | Getaddrinfo
)


# ── Calls ─────────────────────────────────────────────────────────────────────────────────────────────────


def head_of(message: bytes) -> tuple[int, int] | None:
    """Number and function of a call; None for a message too short to have them."""
    return CALL.unpack_from(message) if len(message) >= CALL.size else None


def parse(message: bytes) -> Call:
    """The call that a message is; its data is a view of the message.

    Raises:
        CallError: ``ENOSYS`` for functions that have no layout or are unknown, ``EINVAL`` for arguments that
            are missing, ``EAFNOSUPPORT`` for addresses of other families.
    """
    _, function = CALL.unpack_from(message)
    parser = _PARSERS.get(function)
    if parser is None:
        raise CallError("ENOSYS", f"function {function}")
    try:
        return parser(memoryview(message)[CALL.size :])
    except struct.error as error:
        raise CallError("EINVAL", f"arguments of function {function}: {error}") from error


def parse_address(data: memoryview) -> SockAddr:
    """The address that a ``struct sockaddr`` holds.

    Raises:
        CallError: ``EINVAL`` if it is too short, ``EAFNOSUPPORT`` if its family is another.
    """
    if len(data) < 2:  # noqa: PLR2004 - a family has two bytes
        raise CallError("EINVAL", f"an address of {len(data)} bytes")
    family = int.from_bytes(data[:2], "little")
    layout = {INET: _IPV4, INET6: _IPV6}.get(family)
    if layout is None:
        raise CallError("EAFNOSUPPORT", f"an address of family {family}")
    try:
        fields = layout.unpack_from(data)
    except struct.error as error:
        raise CallError("EINVAL", f"an address: {error}") from error
    packed = fields[2] if family == INET else fields[3]
    return SockAddr(family, str(ipaddress.ip_address(packed)), int.from_bytes(fields[1], "big"))


def _socket(body: memoryview) -> Socket:
    return Socket(*struct.unpack_from("<iii", body))


def _shutdown(body: memoryview) -> Shutdown:
    return Shutdown(*struct.unpack_from("<ii", body))


def _to_address(body: memoryview) -> ToAddress:
    fd, length = struct.unpack_from("<iI", body)
    return ToAddress(fd, parse_address(body[8 : 8 + length]))


def _accept(body: memoryview) -> Accept:
    return Accept(*struct.unpack_from("<iI", body))


def _name(body: memoryview) -> Name:
    if 4 <= len(body) < 8:  # noqa: PLR2004 - its descriptor is whole, the room is known by its length
        return Name(int.from_bytes(body[:4], "little", signed=True), CUT_SHORT + CALL.size + len(body))
    return Name(*struct.unpack_from("<iI", body))


def _send(body: memoryview) -> Send:
    fd, length, flags = struct.unpack_from("<iIi", body)
    return Send(fd, flags, body[12 : 12 + length])


def _sendto(body: memoryview) -> Sendto:
    fd, length, flags, size = struct.unpack_from("<iIiI", body)
    address = parse_address(body[16 : 16 + min(size, SENDTO_ADDRESS)]) if size else None
    start = SENDTO_DATA - CALL.size
    return Sendto(fd, flags, address, body[start : start + length])


def _recv(body: memoryview) -> Recv:
    return Recv(*struct.unpack_from("<iIi", body))


def _recvfrom(body: memoryview) -> Recvfrom:
    return Recvfrom(*struct.unpack_from("<iIiI", body))


def _getsockopt(body: memoryview) -> Getsockopt:
    return Getsockopt(*struct.unpack_from("<iiiI", body))


def _setsockopt(body: memoryview) -> Setsockopt:
    fd, level, name, length = struct.unpack_from("<iiiI", body)
    return Setsockopt(fd, level, name, bytes(body[16 : 16 + length]))


def _getaddrinfo(body: memoryview) -> Getaddrinfo:
    node, service, hinted, *hints = struct.unpack_from(f"<{NODE_MAX}s{SERVICE_MAX}siiiii", body)
    return Getaddrinfo(_text(node), _text(service), *(hints if hinted else (0, 0, 0, 0)))


def _text(padded: bytes) -> str:
    try:
        return padded.partition(b"\0")[0].decode()
    except UnicodeDecodeError as error:
        raise CallError("EINVAL", f"a name that is no text: {error}") from error


_PARSERS: dict[int, Callable[[memoryview], Call]] = {
    Function.SOCKET: _socket,
    Function.SOCKETPAIR: _socket,
    Function.SHUTDOWN: _shutdown,
    Function.BIND: _to_address,
    Function.CONNECT: _to_address,
    Function.LISTEN: _shutdown,
    Function.ACCEPT: _accept,
    Function.GETSOCKNAME: _name,
    Function.GETPEERNAME: _name,
    Function.SEND: _send,
    Function.RECV: _recv,
    Function.SENDTO: _sendto,
    Function.RECVFROM: _recvfrom,
    Function.GETSOCKOPT: _getsockopt,
    Function.SETSOCKOPT: _setsockopt,
    Function.GETADDRINFO: _getaddrinfo,
}


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────────────


def answer(number: int, function: int, result: int, errno: int = 0, extra: bytes | memoryview = b"") -> bytes:
    """The message that answers a call; zeros make it as long as the client insists on."""
    message = b"".join((ANSWER.pack(number, result, errno), extra))
    return message.ljust(SHORTEST.get(function, ANSWER.size), b"\0")  # type: ignore[call-overload]


def pack_address(address: SockAddr) -> bytes:
    """An address as a ``struct sockaddr``."""
    port, packed = address.port.to_bytes(2, "big"), ipaddress.ip_address(address.host).packed
    if address.family == INET:
        return _IPV4.pack(INET, port, packed)
    return _IPV6.pack(INET6, port, 0, packed, 0)


def with_address(address: SockAddr | None, room: int) -> bytes:
    """What ``accept`` and ``getsockname`` answer with: the length, and what there is room for."""
    packed = b"" if address is None else pack_address(address)
    return len(packed).to_bytes(4, "little") + packed[:room]


def received_from(data: bytes | memoryview, address: SockAddr | None, room: int) -> bytes:
    """What ``recvfrom`` answers with."""
    packed = b"" if address is None else pack_address(address)
    return b"".join((struct.pack("<II", len(data), len(packed)), data, packed[:room]))


def address_infos(canonical: str, infos: Sequence[AddressInfo]) -> bytes:
    """What ``getaddrinfo`` answers with."""
    parts = [struct.pack(f"<{NODE_MAX}sI", canonical.encode()[: NODE_MAX - 1], len(infos))]
    for info in infos:
        packed = pack_address(info.address)
        parts.append(struct.pack("<iiiiI", 0, info.address.family, info.socktype, info.protocol, len(packed)))
        parts.append(packed)
    return b"".join(parts)
