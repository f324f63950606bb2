"""IPv6 for sockets: Pyodide's ``_socket`` is built without it and refuses its addresses."""

from __future__ import annotations

import _socket
import errno
import os
import select
import socket
from typing import TYPE_CHECKING, Any

from pynet_browser.stdlib.patches import Patches
from pynet_browser.stdlib.waiting import wait_for

if TYPE_CHECKING:
    from pynet_browser.runtime import Network

__all__ = ["connect", "connect_ex", "patch"]

PORT_MAX = 0xFFFF


def patch(patches: Patches, network: Network) -> None:
    """Let sockets of the family tell their addresses, and programs know that there is IPv6."""

    def getsockname(self: socket.socket) -> Any:
        ends = network.addresses(self.fileno()) if self.family == socket.AF_INET6 else None
        return _as_python_writes(ends[0]) if ends else _socket.socket.getsockname(self)

    def getpeername(self: socket.socket) -> Any:
        ends = network.addresses(self.fileno()) if self.family == socket.AF_INET6 else None
        return _as_python_writes(ends[1]) if ends and ends[1] else _socket.socket.getpeername(self)

    patches.set(socket.socket, "getsockname", getsockname)
    patches.set(socket.socket, "getpeername", getpeername)
    patches.set(socket, "has_ipv6", True)
    patches.set(_socket, "has_ipv6", True)


def connect(network: Network, sock: socket.socket, address: Any) -> None:
    """``socket.connect`` for a socket of family AF_INET6.

    Raises:
        OSError: as the C method does.
        TypeError: ``address`` is no tuple of host and port.
        OverflowError: the port is none.
    """
    host, port = _host_and_port(address)
    refused = network.connect(sock.fileno(), host, port)
    if refused:
        raise _error(getattr(errno, refused, errno.EIO))
    timeout = sock.gettimeout()
    if timeout == 0:
        raise _error(errno.EINPROGRESS)
    wait_for(sock, select.POLLOUT, timeout)
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise _error(number)


def connect_ex(network: Network, sock: socket.socket, address: Any) -> int:
    """``socket.connect_ex`` for a socket of family AF_INET6."""
    try:
        connect(network, sock, address)
    except OSError as error:
        return errno.EAGAIN if error.errno is None else error.errno  # a timeout has no number
    return 0


def _host_and_port(address: Any) -> tuple[str, int]:
    if not isinstance(address, tuple):
        raise TypeError(f"connect(): AF_INET6 address must be tuple, not {type(address).__name__}")
    if len(address) not in range(2, 5):
        raise TypeError("AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])")
    host, port = address[:2]
    if not isinstance(host, str) or not isinstance(port, int):
        raise TypeError("connect(): AF_INET6 address must have a str host and an int port")
    if not 0 <= port <= PORT_MAX:
        raise OverflowError("connect(): port must be 0-65535.")
    return host or "::1", port


def _as_python_writes(end: tuple[str, int]) -> tuple[str, int, int, int]:
    import ipaddress  # here, since it takes longer to import than the rest of this package

    return str(ipaddress.IPv6Address(end[0])), end[1], 0, 0


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
