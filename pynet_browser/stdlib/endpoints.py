"""Calls that give sockets their addresses: bind, listen, accept, connect, getsockname, getpeername.

C's versions know neither IPv6 nor AF_UNIX here, cannot wait for what a proxy answers, and tell no addresses
of accepted connections. These speak to the page's side directly.
"""

from __future__ import annotations

import errno
import operator
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pynet_browser.stdlib.addresses import parse, written
from pynet_browser.stdlib.failures import checked, explained, failure
from pynet_browser.stdlib.patches import Patches
from pynet_browser.stdlib.waiting import wait_for

if TYPE_CHECKING:
    from pynet_browser.runtime import Network, Reply

__all__ = ["deferred", "patch"]

BACKLOG = min(socket.SOMAXCONN, 128)
INT_MAX = 2**31 - 1

_deferred: ContextVar[list[Reply] | None] = ContextVar("deferred", default=None)


@contextmanager
def deferred() -> Iterator[list[Reply]]:
    """Calls made in the block, which would have to wait where that is impossible, return at once.

    What they would have waited for is in the list, for a coroutine to wait for behind the block.
    """
    replies: list[Reply] = []
    token = _deferred.set(replies)
    try:
        yield replies
    finally:
        _deferred.reset(token)


def patch(patches: Patches, network: Network) -> None:
    """Put our methods on ``socket.socket``."""
    calls = Calls(network)
    for method in (
        calls.bind(),
        calls.listen(),
        calls.accept(),
        calls.connect(),
        calls.connect_ex(),
        calls.getsockname(),
        calls.getpeername(),
    ):
        patches.set(socket.socket, method.__name__, explained(network, method))


class Calls:
    """Makes each method: a plain function, so that Python binds it to the socket it is called on."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def bind(self) -> Callable[..., None]:
        """``socket.bind``."""
        network = self._network

        def bind(self: socket.socket, address: Any, /) -> None:
            _settle(network.bind(self.fileno(), *parse(self, address, "bind")))

        return bind

    def listen(self) -> Callable[..., None]:
        """``socket.listen``."""
        network = self._network

        def listen(self: socket.socket, backlog: int = BACKLOG, /) -> None:
            size = operator.index(backlog)
            if not -INT_MAX <= size <= INT_MAX:
                raise OverflowError("Python int too large to convert to C int")
            _settle(network.listen(self.fileno(), max(0, size)))

        return listen

    def accept(self) -> Callable[..., tuple[int, Any]]:
        """``socket._accept``, which ``socket.accept`` makes a socket of."""
        network = self._network

        def _accept(self: socket.socket, /) -> tuple[int, Any]:
            timeout = self.gettimeout()
            deadline = time.monotonic() + timeout if timeout else None
            while isinstance(taken := network.accept(self.fileno()), str):
                if taken != "EAGAIN":
                    raise failure(taken)
                wait_for(self, select.POLLIN, deadline - time.monotonic() if deadline else timeout)
            ends = network.addresses(taken)
            return taken, written(self.family, ends[1] if ends else None)

        return _accept

    def connect(self) -> Callable[..., None]:
        """``socket.connect``."""
        network = self._network

        def connect(self: socket.socket, address: Any, /) -> None:
            _connect(network, self, address, "connect")

        return connect

    def connect_ex(self) -> Callable[..., int]:
        """``socket.connect_ex``: a number for what the system says, an exception for a name not found."""
        network = self._network

        def connect_ex(self: socket.socket, address: Any, /) -> int:
            try:
                _connect(network, self, address, "connect_ex")
            except socket.gaierror:
                raise
            except TimeoutError as error:
                return error.errno or errno.EAGAIN  # a timeout of Python's own has no number
            except OSError as error:
                if error.errno is None or error.errno == errno.EDEADLK:
                    raise
                return error.errno
            return 0

        return connect_ex

    def getsockname(self) -> Callable[..., Any]:
        """``socket.getsockname``."""
        network = self._network

        def getsockname(self: socket.socket, /) -> Any:
            return written(self.family, _ends(network, self)[0])

        return getsockname

    def getpeername(self) -> Callable[..., Any]:
        """``socket.getpeername``."""
        network = self._network

        def getpeername(self: socket.socket, /) -> Any:
            peer = _ends(network, self)[1]
            if peer is None:
                raise failure("ENOTCONN")
            return written(self.family, peer)

        return getpeername


def _connect(network: Network, sock: socket.socket, address: Any, call: str) -> None:
    host, port = parse(sock, address, call)
    if sock.type == socket.SOCK_DGRAM:
        _settle(network.connect(sock.fileno(), host, port))
        return
    timeout = sock.gettimeout()
    while checked(network.connect(sock.fileno(), host, port).wait())["pending"]:  # another call tells the end
        if timeout == 0:
            raise failure("EINPROGRESS")
        wait_for(sock, select.POLLOUT, timeout)


def _ends(network: Network, sock: socket.socket) -> Any:
    """Addresses of both ends, once they are known."""
    settling = network.settled(sock.fileno())
    if settling and network.waits:
        settling.wait()
    ends = network.addresses(sock.fileno())
    if ends is None:
        raise failure("EBADF")
    return ends


def _settle(reply: Reply) -> None:
    """Wait for an answer, or leave it to whoever defers such waits; raise what it says."""
    waiting = _deferred.get()
    if waiting is not None and not reply.suspends:
        waiting.append(reply)
    else:
        checked(reply.wait())
