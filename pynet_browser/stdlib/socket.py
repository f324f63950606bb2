"""The methods of ``socket.socket`` that need more than the C layer gives.

The C methods do the work. Around them: flags, which Pyodide does not pass on; errors, which come from C as a
number and leave here with the proxy's sentence; and large sends, which are cut so that a wait never copies
all that is left.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pynet_browser.errors import BlockingError, PolicyError
from pynet_browser.stdlib import ipv6
from pynet_browser.stdlib.patches import Patches
from pynet_browser.stdlib.waiting import wait_for

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from pynet_browser.runtime import Network

__all__ = ["patch"]

SEND_PIECE = 512 * 1024
"""Most bytes given to C at once: a call that has to wait copies what it was given."""

IGNORED_SENDING = socket.MSG_NOSIGNAL | getattr(socket, "MSG_MORE", 0)
"""Flags of send that ask for nothing we could do otherwise."""


def patch(patches: Patches, network: Network) -> None:
    """Put our methods on ``socket.socket``; code that imported the class earlier gets them too."""
    methods = SocketMethods(network)
    patches.set(socket.socket, "__init__", methods.initializer())
    for make in (
        methods.connect,
        methods.connect_ex,
        methods.recv,
        methods.recv_into,
        methods.recvfrom,
        methods.recvfrom_into,
        methods.send,
        methods.sendall,
    ):
        patches.set(socket.socket, make.__name__, make())
    ipv6.patch(patches, network)


class SocketMethods:
    """Makes each method; what they share is the network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    # Each of these returns a plain function, so that Python binds it to the socket it is called on.

    def initializer(self) -> Callable[..., None]:
        """``socket.socket()``: what is to be made of a descriptor cannot be asked of C."""
        original, network = socket.socket.__init__, self._network

        def initialize(
            self: socket.socket,
            family: int = -1,
            type: int = -1,  # noqa: A002  the standard library's name
            proto: int = -1,
            fileno: int | None = None,
        ) -> None:
            facts = network.describe(fileno) if isinstance(fileno, int) else None
            if facts:
                family, kind, proto = (
                    fact if given == -1 else given
                    for given, fact in zip((family, type, proto), facts, strict=True)
                )
                original(self, family, kind, proto, fileno)
            else:
                original(self, family, type, proto, fileno)

        return initialize

    def connect(self) -> Callable[..., None]:
        """``socket.connect``."""
        network, error_of = self._network, self._error

        def connect(self: socket.socket, address: Any, /) -> None:
            try:
                if self.family == socket.AF_INET6:
                    ipv6.connect(network, self, address)
                else:
                    _socket.socket.connect(self, address)
            except OSError as error:
                raise error_of(self, "connect", error) from None

        return connect

    def connect_ex(self) -> Callable[..., int]:
        """``socket.connect_ex``: a number for what the system says, an exception for a name not found."""
        network, error_of = self._network, self._error

        def connect_ex(self: socket.socket, address: Any, /) -> int:
            if self.family == socket.AF_INET6:
                number = ipv6.connect_ex(network, self, address)
            else:
                number = _socket.socket.connect_ex(self, address)
            if number == errno.EHOSTUNREACH:
                error = error_of(self, "connect_ex", OSError(number, os.strerror(number)))
                if isinstance(error, socket.gaierror):
                    raise error
            return number

        return connect_ex

    def recv(self) -> Callable[..., bytes]:
        """``socket.recv``."""
        native, error_of, flagged = _socket.socket.recv, self._error, self._recv_flagged

        def recv(self: socket.socket, bufsize: int, flags: int = 0, /) -> bytes:
            try:
                return native(self, bufsize) if not flags else flagged(self, bufsize, flags)
            except OSError as error:
                raise error_of(self, "recv", error) from None

        return recv

    def recv_into(self) -> Callable[..., int]:
        """``socket.recv_into``."""
        native, error_of, flagged = _socket.socket.recv_into, self._error, self._recv_flagged

        def recv_into(self: socket.socket, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
            try:
                if not flags:
                    return native(self, buffer, nbytes)
                with memoryview(buffer).cast("B") as view:
                    data = flagged(self, nbytes or len(view), flags)
                    view[: len(data)] = data
                return len(data)
            except OSError as error:
                raise error_of(self, "recv_into", error) from None

        return recv_into

    def recvfrom(self) -> Callable[..., tuple[bytes, None]]:
        """``socket.recvfrom``: a stream's data has no sender, as on Linux."""

        def recvfrom(self: socket.socket, bufsize: int, flags: int = 0, /) -> tuple[bytes, None]:
            return self.recv(bufsize, flags), None

        return recvfrom

    def recvfrom_into(self) -> Callable[..., tuple[int, None]]:
        """``socket.recvfrom_into``."""

        def recvfrom_into(
            self: socket.socket, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0
        ) -> tuple[int, None]:
            return self.recv_into(buffer, nbytes, flags), None

        return recvfrom_into

    def send(self) -> Callable[..., int]:
        """``socket.send``."""
        native, error_of = _socket.socket.send, self._error

        def send(self: socket.socket, data: ReadableBuffer, flags: int = 0, /) -> int:
            try:
                if flags:
                    _check_send_flags(self, flags)
                view = memoryview(data)
                return native(self, view if view.nbytes <= SEND_PIECE else view.cast("B")[:SEND_PIECE])
            except OSError as error:
                raise error_of(self, "send", error) from None

        return send

    def sendall(self) -> Callable[..., None]:
        """``socket.sendall``: the timeout is for all of it."""
        native, error_of = _socket.socket.sendall, self._error

        def sendall(self: socket.socket, data: ReadableBuffer, flags: int = 0, /) -> None:
            try:
                if flags:
                    _check_send_flags(self, flags)
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
            except OSError as error:
                raise error_of(self, "sendall", error) from None

        return sendall

    # ── What they share ────────────────────────────────────────────────────────────────────────────

    def _error(self, sock: socket.socket, call: str, error: OSError) -> OSError:
        """The exception a program should see for what C raised."""
        if error.errno == errno.EDEADLK:
            return BlockingError(call)
        if error.errno is None or isinstance(error, BlockingIOError | socket.gaierror | BlockingError):
            return error
        code, message = self._network.explain(sock.fileno()) or ("", "")
        if code.startswith("EAI_"):
            return socket.gaierror(
                getattr(socket, code, socket.EAI_FAIL), message or os.strerror(error.errno)
            )
        if not message or getattr(errno, code, None) != error.errno:
            return error
        if error.errno == errno.EACCES:
            return PolicyError(error.errno, message)
        return OSError(error.errno, message)

    def _recv_flagged(self, sock: socket.socket, size: int, flags: int) -> bytes:
        """What the C layer would take for a plain recv."""
        if flags & ~(socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_WAITALL | socket.MSG_NOSIGNAL):
            raise OSError(
                errno.EOPNOTSUPP, "only MSG_PEEK, MSG_DONTWAIT, MSG_WAITALL and MSG_NOSIGNAL are supported"
            )
        native = _socket.socket.recv
        whole = bool(flags & socket.MSG_WAITALL) and not flags & socket.MSG_DONTWAIT
        if flags & socket.MSG_PEEK:
            wait_for(sock, select.POLLIN, _patience(sock, flags))
            # Without data, C's recv has the right answer: the end, or the error.
            return self._network.peek(sock.fileno(), size) or native(sock, size)
        if flags & socket.MSG_DONTWAIT:
            wait_for(sock, select.POLLIN, _patience(sock, flags))
        data = native(sock, size)
        while whole and 0 < len(data) < size:
            more = native(sock, size - len(data))
            if not more:
                break
            data += more
        return data


def _check_send_flags(sock: socket.socket, flags: int) -> None:
    if flags & ~(socket.MSG_DONTWAIT | IGNORED_SENDING):
        raise OSError(errno.EOPNOTSUPP, "only MSG_DONTWAIT, MSG_MORE and MSG_NOSIGNAL are supported")
    if flags & socket.MSG_DONTWAIT:
        wait_for(sock, select.POLLOUT, _patience(sock, flags))


def _patience(sock: socket.socket, flags: int) -> float | None:
    """How long the call may wait. CPython waits by the timeout first, whatever the flags say."""
    timeout = sock.gettimeout()
    return 0.0 if timeout is None and flags & socket.MSG_DONTWAIT else timeout
