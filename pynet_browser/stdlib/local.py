"""Sockets that stay in the page: ``socketpair`` and the family AF_UNIX, which Pyodide's ``_socket`` lacks."""

from __future__ import annotations

import _socket
import asyncio.streams
import socket
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pynet_browser.stdlib.addresses import AF_UNIX
from pynet_browser.stdlib.failures import failure
from pynet_browser.stdlib.patches import Patches

if TYPE_CHECKING:
    from pynet_browser.runtime import Network

__all__ = ["patch"]

MISSING = {"AF_UNIX": AF_UNIX, "SO_REUSEADDR": 2, "SO_REUSEPORT": 15}
"""Constants that Pyodide's ``_socket`` is built without (musl's values)."""

STREAM_LIMIT = 2**16
"""asyncio's own default for the buffer of a reader (bytes)."""


def patch(patches: Patches, network: Network) -> None:
    """Add what is missing to ``socket`` and to ``asyncio``."""
    for name, value in MISSING.items():
        patches.set(_socket, name, value)
        patches.set(socket, name, _member(name, value))
    for module in (socket, _socket):
        patches.set(module, "has_ipv6", True)

    def socketpair(
        family: int | None = None,
        type: int = socket.SOCK_STREAM,  # noqa: A002  the standard library's name
        proto: int = 0,
    ) -> tuple[socket.socket, socket.socket]:
        """Two sockets connected to each other within the page; see ``socket.socketpair``."""
        if family not in (None, AF_UNIX):
            raise failure("EOPNOTSUPP" if family in (socket.AF_INET, socket.AF_INET6) else "EAFNOSUPPORT")
        if proto:
            raise failure("EPROTONOSUPPORT")
        nonblocking = type & socket.SOCK_NONBLOCK
        kind = type & ~(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        pair = network.pair(kind)
        if isinstance(pair, str):
            raise failure(pair)
        one, other = (socket.socket(AF_UNIX, kind, 0, descriptor) for descriptor in pair)
        if nonblocking:
            one.setblocking(False)
            other.setblocking(False)
        return one, other

    patches.set(socket, "socketpair", socketpair)
    patches.set(_socket, "socketpair", network.pair)
    for method in _inheritance():
        patches.set(socket.socket, method.__name__, method)
    for function in (open_unix_connection, start_unix_server):
        patches.set(asyncio, function.__name__, function)
        patches.set(asyncio.streams, function.__name__, function)


def _inheritance() -> tuple[Callable[..., Any], ...]:
    """Whether children inherit a descriptor (PEP 446): there are none here, but programs ask and set it."""
    inheritable: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def get_inheritable(self: socket.socket) -> bool:
        _check_open(self)
        return self in inheritable

    def set_inheritable(self: socket.socket, inheritable_now: bool) -> None:
        _check_open(self)
        (inheritable.add if inheritable_now else inheritable.discard)(self)

    return get_inheritable, set_inheritable


def _check_open(sock: socket.socket) -> None:
    if sock.fileno() < 0:
        raise failure("EBADF")


def _member(name: str, value: int) -> int:
    """The constant as the ``socket`` module has it: families are members of an enumeration."""
    if name != "AF_UNIX":
        return value
    family = socket.AddressFamily
    if value in family._value2member_map_:
        return family(value)
    member = int.__new__(family, value)
    member._name_, member._value_ = name, value
    family._value2member_map_[value] = family._member_map_[name] = member
    return member


async def open_unix_connection(
    path: Any = None, *, limit: int = STREAM_LIMIT, **kwds: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Like ``asyncio.open_connection``, to a path; asyncio defines it only where there is AF_UNIX."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_unix_connection(lambda: protocol, path, **kwds)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def start_unix_server(
    client_connected_cb: Any, path: Any = None, *, limit: int = STREAM_LIMIT, **kwds: Any
) -> asyncio.AbstractServer:
    """Like ``asyncio.start_server``, at a path; asyncio defines it only where there is AF_UNIX."""
    loop = asyncio.get_running_loop()

    def factory() -> asyncio.StreamReaderProtocol:
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        return asyncio.StreamReaderProtocol(reader, client_connected_cb, loop=loop)

    return await loop.create_unix_server(factory, path, **kwds)
