"""The methods of ``socket.socket`` that carry data, and need more than the C layer gives.

The C methods do the work. Around them: flags, which Pyodide does not pass on; errors, which come from C as a
number and leave here with the proxy's sentence; and large sends, which are cut so that a wait never copies
all that is left.
"""

from __future__ import annotations

import _socket
import operator
import os
import select
import socket
import stat
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pynet_browser.stdlib.failures import explained, failure
from pynet_browser.stdlib.patches import Patches
from pynet_browser.stdlib.waiting import patience, wait_for

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from pynet_browser.runtime import Network

__all__ = ["patch"]

SEND_PIECE = 512 * 1024
"""Most bytes given to C at once: a call that has to wait copies what it was given."""

IGNORED_SENDING = socket.MSG_NOSIGNAL | getattr(socket, "MSG_MORE", 0)
"""Flags of send that ask for nothing we could do otherwise."""

RECEIVING = (
    socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_WAITALL | socket.MSG_NOSIGNAL | socket.MSG_TRUNC
)
"""Flags of recv that mean something here."""


def patch(patches: Patches, network: Network) -> None:
    """Put our methods on ``socket.socket``; code that imported the class earlier gets them too."""
    methods = SocketMethods(network)
    for method in (
        methods.initializer(),
        methods.recv(),
        methods.recv_into(),
        methods.send(),
        methods.sendall(),
        methods.shutdown(),
    ):
        patches.set(socket.socket, method.__name__, explained(network, method))


class SocketMethods:
    """Makes each method; what they share is the network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    # Each of these returns a plain function, so that Python binds it to the socket it is called on.

    def initializer(self) -> Callable[..., None]:
        """``socket.socket()``: what is to be made of a descriptor cannot be asked of C."""
        original, network = socket.socket.__init__, self._network

        def __init__(  # noqa: N807  the name it has on the class
            self: socket.socket,
            family: int = -1,
            type: int = -1,  # noqa: A002  the standard library's name
            proto: int = -1,
            fileno: int | None = None,
        ) -> None:
            facts = network.describe(fileno) if isinstance(fileno, int) else None
            if not facts and isinstance(fileno, int) and fileno >= 0 and not _is_socket(fileno):
                raise failure("ENOTSOCK")  # C would say EBADF
            if facts:
                family, kind, proto = (
                    fact if given == -1 else given
                    for given, fact in zip((family, type, proto), facts, strict=True)
                )
                original(self, family, kind, proto, fileno)
            else:
                original(self, family, type, proto, fileno)

        return __init__

    def recv(self) -> Callable[..., bytes]:
        """``socket.recv``."""
        native, flagged = _socket.socket.recv, self._recv_flagged

        def recv(self: socket.socket, bufsize: int, flags: int = 0, /) -> bytes:
            return native(self, bufsize) if not flags else flagged(self, bufsize, flags)

        return recv

    def recv_into(self) -> Callable[..., int]:
        """``socket.recv_into``."""
        native, flagged, network = _socket.socket.recv_into, self._recv_flagged, self._network

        def recv_into(self: socket.socket, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
            if not flags:
                return native(self, buffer, nbytes)
            with memoryview(buffer).cast("B") as view:
                if nbytes > len(view):
                    raise ValueError("buffer too small for requested bytes")
                data = flagged(self, nbytes or len(view), flags)
                view[: len(data)] = data
            last = network.sender(self.fileno()) if flags & socket.MSG_TRUNC else None
            return last[2] if last else len(data)

        return recv_into

    def send(self) -> Callable[..., int]:
        """``socket.send``."""
        native, check_flags = _socket.socket.send, self._check_send_flags

        def send(self: socket.socket, data: ReadableBuffer, flags: int = 0, /) -> int:
            if flags:
                check_flags(self, flags)
            view = memoryview(data)
            return native(self, view if view.nbytes <= SEND_PIECE else view.cast("B")[:SEND_PIECE])

        return send

    def sendall(self) -> Callable[..., None]:
        """``socket.sendall``: the timeout is for all of it."""
        native, check_flags = _socket.socket.sendall, self._check_send_flags

        def sendall(self: socket.socket, data: ReadableBuffer, flags: int = 0, /) -> None:
            if flags:
                check_flags(self, flags)
            view = memoryview(data)
            if view.nbytes <= SEND_PIECE:
                native(self, view)
                return
            view = view.cast("B")
            timeout = self.gettimeout()
            deadline = None if timeout is None else time.monotonic() + timeout
            for start in range(0, len(view), SEND_PIECE):
                if start and deadline is not None:
                    wait_for(self, select.POLLOUT, deadline - time.monotonic())
                native(self, view[start : start + SEND_PIECE])

        return sendall

    def shutdown(self) -> Callable[..., None]:
        """``socket.shutdown``."""
        native = _socket.socket.shutdown

        def shutdown(self: socket.socket, how: int, /) -> None:
            how = operator.index(how)
            if self.fileno() < 0:
                raise failure("EBADF")  # C would say ENOSYS
            native(self, how)

        return shutdown

    # ── What they share ────────────────────────────────────────────────────────────────────────────

    def _recv_flagged(self, sock: socket.socket, size: int, flags: int) -> bytes:
        """What the C layer would take for a plain recv."""
        if flags & ~RECEIVING:
            raise failure("EOPNOTSUPP")
        native = _socket.socket.recv
        if not 0 <= size <= sys.maxsize:
            return native(sock, size)  # it says what is wrong
        if flags & (socket.MSG_PEEK | socket.MSG_DONTWAIT):
            self._wait(sock, select.POLLIN, flags)
        if flags & socket.MSG_PEEK:
            data = self._network.peek(sock.fileno(), size)
            # A stream without data has its answer in C: the end, or the error.
            if data is not None and (data or sock.type == socket.SOCK_DGRAM):
                return data
            return native(sock, size)
        data = native(sock, size)
        whole = flags & socket.MSG_WAITALL and not flags & socket.MSG_DONTWAIT
        while whole and sock.type == socket.SOCK_STREAM and 0 < len(data) < size:
            more = native(sock, size - len(data))
            if not more:
                break
            data += more
        return data

    def _check_send_flags(self, sock: socket.socket, flags: int) -> None:
        if flags & ~(socket.MSG_DONTWAIT | IGNORED_SENDING):
            raise failure("EOPNOTSUPP", "only MSG_DONTWAIT, MSG_MORE and MSG_NOSIGNAL are supported")
        if flags & socket.MSG_DONTWAIT:
            self._wait(sock, select.POLLOUT, flags)

    def _wait(self, sock: socket.socket, events: int, flags: int) -> None:
        """Wait as the call will; on a listener, which carries no data, it fails at once."""
        if not self._network.listening(sock.fileno()):
            wait_for(sock, events, patience(sock, flags))


def _is_socket(descriptor: int) -> bool:
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
