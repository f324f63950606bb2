"""Calls that tell or take addresses with the data: sendto, recvfrom, sendmsg, recvmsg and their kin.

What is received comes through C, as all data does; where it came from is asked of the page's side.
"""

from __future__ import annotations

import operator
import select
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pynet_browser.stdlib.addresses import AF_UNIX, is_name, parse, written
from pynet_browser.stdlib.failures import explained, failure
from pynet_browser.stdlib.patches import Patches
from pynet_browser.stdlib.waiting import patience, wait_for

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from pynet_browser.runtime import Network

__all__ = ["patch"]

SENDING_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL | getattr(socket, "MSG_MORE", 0)
SENDMSG_MAX = 512 * 1024
"""Most bytes of a stream joined at once: no more would leave at once."""

Ancillary = list[tuple[int, int, bytes]]


def patch(patches: Patches, network: Network) -> None:
    """Put our methods on ``socket.socket``."""
    calls = Calls(network)
    for method in (
        calls.recvfrom(),
        calls.recvfrom_into(),
        calls.recvmsg(),
        calls.recvmsg_into(),
        calls.sendto(),
        calls.sendmsg(),
    ):
        patches.set(socket.socket, method.__name__, explained(network, method))


class Calls:
    """Makes each method: a plain function, so that Python binds it to the socket it is called on."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def recvfrom(self) -> Callable[..., tuple[bytes, Any]]:
        """``socket.recvfrom``; a stream's data has no sender, as on Linux."""
        sender = self._sender

        def recvfrom(self: socket.socket, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
            data = _received(self, bufsize, flags)
            return data, sender(self, len(data))[0]

        return recvfrom

    def recvfrom_into(self) -> Callable[..., tuple[int, Any]]:
        """``socket.recvfrom_into``."""
        sender = self._sender

        def recvfrom_into(
            self: socket.socket, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0
        ) -> tuple[int, Any]:
            size = self.recv_into(buffer, nbytes, flags)
            return size, sender(self, size)[0]

        return recvfrom_into

    def recvmsg(self) -> Callable[..., tuple[bytes, Ancillary, int, Any]]:
        """``socket.recvmsg``; there is never ancillary data."""
        sender = self._sender

        def recvmsg(
            self: socket.socket, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
        ) -> tuple[bytes, Ancillary, int, Any]:
            if operator.index(ancbufsize) < 0:
                raise ValueError("invalid ancillary data buffer length")
            data = _received(self, bufsize, flags & ~socket.MSG_TRUNC)
            address, whole = sender(self, len(data))
            return data, [], _truncated(whole, len(data)), address

        return recvmsg

    def recvmsg_into(self) -> Callable[..., tuple[int, Ancillary, int, Any]]:
        """``socket.recvmsg_into``; there is never ancillary data."""
        sender = self._sender

        def recvmsg_into(
            self: socket.socket,
            buffers: Iterable[WriteableBuffer],
            ancbufsize: int = 0,
            flags: int = 0,
            /,
        ) -> tuple[int, Ancillary, int, Any]:
            if operator.index(ancbufsize) < 0:
                raise ValueError("invalid ancillary data buffer length")
            views = [memoryview(buffer).cast("B") for buffer in buffers]
            if any(view.readonly for view in views):
                raise TypeError("buffers must be read-write")
            data = memoryview(_received(self, sum(map(len, views)), flags & ~socket.MSG_TRUNC))
            at = 0
            for view in views:
                piece = data[at : at + len(view)]
                view[: len(piece)] = piece
                at += len(piece)
            address, whole = sender(self, len(data))
            return len(data), [], _truncated(whole, len(data)), address

        return recvmsg_into

    def sendto(self) -> Callable[..., int]:
        """``socket.sendto``."""
        network = self._network

        def sendto(self: socket.socket, data: ReadableBuffer, *where: Any) -> int:
            if len(where) not in (1, 2):
                raise TypeError(f"sendto() takes 2 or 3 arguments ({1 + len(where)} given)")
            flags, address = (0, *where)[-2:]
            return _send_to(network, self, data, operator.index(flags), address, "sendto")

        return sendto

    def sendmsg(self) -> Callable[..., int]:
        """``socket.sendmsg``; ancillary data cannot leave the page."""
        network = self._network

        def sendmsg(
            self: socket.socket,
            buffers: Iterable[ReadableBuffer],
            ancdata: Iterable[Any] = (),
            flags: int = 0,
            address: Any = None,
            /,
        ) -> int:
            if list(ancdata):
                raise failure("EINVAL")
            stream = self.type == socket.SOCK_STREAM
            data = _joined(buffers, SENDMSG_MAX if stream else None)
            if address is None:
                return self.send(data, flags)
            return _send_to(network, self, data, flags, address, "sendmsg")

        return sendmsg

    def _sender(self, sock: socket.socket, size: int) -> tuple[Any, int]:
        """Address of the datagram that was read last, and how long it was; or a stream's if it is a path.

        Of a stream ``size`` bytes were read: its end comes from nobody.
        """
        if sock.type != socket.SOCK_DGRAM:
            return (sock.getpeername() or None if sock.family == AF_UNIX and size else None), 0
        last = self._network.sender(sock.fileno())
        if last is None:
            return None, 0
        host, port, size = last
        return written(sock.family, (host, port) if host else None), size


def _received(sock: socket.socket, size: int, flags: int) -> bytes:
    """What ``recv`` gives; but a datagram of which nothing is wanted is taken too."""
    if size or sock.type != socket.SOCK_DGRAM:
        return sock.recv(size, flags)
    sock.recv(1, flags)
    return b""


def _send_to(  # noqa: PLR0917  what the calls are given
    network: Network, sock: socket.socket, data: ReadableBuffer, flags: int, address: Any, call: str
) -> int:
    if flags & ~SENDING_FLAGS:
        raise failure("EOPNOTSUPP")
    with memoryview(data) as view:
        host, port = parse(sock, address, call)
        if sock.type != socket.SOCK_DGRAM:
            if sock.family != AF_UNIX:
                return sock.send(view, flags)  # TCP does not look at the address
            ends = network.addresses(sock.fileno())
            raise failure("EISCONN" if ends and ends[1] else "EOPNOTSUPP")
        if is_name(sock.family, host):
            host = str(socket.getaddrinfo(host, port, sock.family, socket.SOCK_DGRAM)[0][4][0])
        while isinstance(sent := network.send_to(sock.fileno(), view, host, port), str):
            if sent not in ("EAGAIN", "EDEADLK"):
                raise failure(sent)
            wait_for(sock, select.POLLOUT, patience(sock, flags))
    return sent


def _joined(buffers: Iterable[ReadableBuffer], limit: int | None) -> bytes:
    pieces, size = [], 0
    for buffer in buffers:
        with memoryview(buffer) as view:
            pieces.append(view.tobytes())
        size += len(pieces[-1])
        if limit is not None and size >= limit:
            break
    return b"".join(pieces)


def _truncated(whole: int, size: int) -> int:
    return int(socket.MSG_TRUNC) if whole > size else 0
