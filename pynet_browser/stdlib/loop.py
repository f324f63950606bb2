"""asyncio on Pyodide's event loop: the standard library's own transports, servers and socket calls.

Pyodide's ``WebLoop`` runs on the browser's event loop and has no selector, so most of asyncio's networking
is missing. The standard library has all of it in terms of ``_add_reader`` and ``_add_writer``, those in terms
of a selector, and a selector is what ``PageSelector`` is, whose descriptors wake the loop when they become
ready. So the methods are borrowed as they are, and none of them suspends Python.
"""

from __future__ import annotations

import contextlib
import socket
import weakref
from asyncio import StreamReaderProtocol, base_events, selector_events, unix_events
from collections.abc import Callable
from pathlib import Path
from selectors import EVENT_READ
from typing import TYPE_CHECKING, Any

from pynet_browser.stdlib.endpoints import deferred
from pynet_browser.stdlib.failures import checked
from pynet_browser.stdlib.patches import Patches
from pynet_browser.stdlib.selector import PageSelector
from pynet_browser.stdlib.sendfile import send_by_socket, send_by_transport

if TYPE_CHECKING:
    from asyncio import AbstractServer, BaseTransport, Handle, Transport
    from selectors import SelectorKey

    from pynet_browser.runtime import Network, Reply
    from pynet_browser.stdlib.names import Names

__all__ = ["patch"]

BORROWED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (
        base_events.BaseEventLoop,
        (
            "_check_sendfile_params",
            "_connect_sock",
            "_create_connection_transport",
            "_create_server_getaddrinfo",
            "_ensure_resolved",
            "_sendfile_native",
            "_sock_sendfile_native",
            "connect_accepted_socket",
            "sendfile",
            "sock_sendfile",
        ),
    ),
    (
        selector_events.BaseSelectorEventLoop,
        (
            "_accept_connection",
            "_accept_connection2",
            "_add_reader",
            "_add_writer",
            "_ensure_fd_no_transport",
            "_make_datagram_transport",
            "_make_socket_transport",
            "_process_events",
            "_remove_reader",
            "_remove_writer",
            "_sock_accept",
            "_sock_connect",
            "_sock_connect_cb",
            "_sock_read_done",
            "_sock_recv",
            "_sock_recv_into",
            "_sock_recvfrom",
            "_sock_recvfrom_into",
            "_sock_sendall",
            "_sock_sendto",
            "_sock_write_done",
            "_start_serving",
            "add_reader",
            "add_writer",
            "remove_reader",
            "remove_writer",
            "sock_accept",
            "sock_connect",
            "sock_recv",
            "sock_recv_into",
            "sock_recvfrom",
            "sock_recvfrom_into",
            "sock_sendall",
            "sock_sendto",
        ),
    ),
    (unix_events._UnixSelectorEventLoop, ("create_unix_connection", "create_unix_server")),
)
"""Methods of the standard library's event loops that are used as they are."""

SOCKET_TRANSPORT: Any = vars(selector_events)["_SelectorSocketTransport"]

OPENING = ("create_connection", "create_server", "create_datagram_endpoint")
"""Those that call ``bind``, ``listen`` or ``connect``, whose answers a proxy may still owe."""


def patch(patches: Patches, network: Network, names: Names) -> None:
    """Give Pyodide's event loop its networking."""
    from pyodide.webloop import WebLoop

    for owner, methods in BORROWED:
        for name in methods:
            patches.set(WebLoop, name, vars(owner)[name])
    for name in OPENING:
        patches.set(WebLoop, name, _opening(vars(base_events.BaseEventLoop)[name]))
    wirings: weakref.WeakKeyDictionary[Any, Wiring] = weakref.WeakKeyDictionary()

    def wiring(loop: Any) -> Wiring:
        if loop not in wirings:
            wirings[loop] = Wiring(loop, network)
        return wirings[loop]

    async def getaddrinfo(_self: Any, host: Any, port: Any, **hints: int) -> Any:
        return await names.getaddrinfo_async(host, port, **hints)

    async def getnameinfo(_self: Any, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        return await names.getnameinfo_async(sockaddr, flags)

    added: dict[str, object] = {
        "_add_callback": lambda self, handle: wiring(self).ready.append(handle),
        "_sendfile_fallback": send_by_transport,
        "_sock_sendfile_fallback": send_by_socket,
        "_selector": property(lambda self: wiring(self).selector),
        "_stop_serving": _stop_serving,
        "_transports": property(lambda self: wiring(self).transports),
        "_unix_server_sockets": property(lambda self: wiring(self).unix_servers),
        "getaddrinfo": getaddrinfo,
        "getnameinfo": getnameinfo,
    }
    for name, value in added.items():
        patches.set(WebLoop, name, value)

    def close() -> None:
        for each in wirings.values():
            for transport in list(each.transports.values()):
                transport.abort()
            each.selector.close()

    patches.at_undo(close)


class Wiring:
    """What one event loop has of this: its selector, and what the borrowed methods keep beside it."""

    def __init__(self, loop: Any, network: Network) -> None:
        self._loop = weakref.ref(loop)
        self.selector = PageSelector(network.watchlist(self._wake))
        self.transports: weakref.WeakValueDictionary[int, Transport] = weakref.WeakValueDictionary()
        self.unix_servers: dict[socket.socket, int] = {}
        self.ready: list[Handle] = []
        self._dispatching = False

    def _wake(self) -> None:
        """Something has become ready.

        That is told where nothing may suspend Python, so it is handled in its turn. But data for a stream,
        which only keeps it until its task asks, is handed over here: a turn of the loop takes 0.1 to 0.2 ms.
        """
        loop = self._loop()
        if loop is None:
            return
        events = self.selector.select(0)
        if self._dispatching:  # what is ready is told again at the end of that
            return
        if events and all(_is_for_a_stream(key, ready) for key, ready in events):
            self._hand_over(loop, [key.data[0] for key, _ in events])
        else:
            loop.call_soon(self._dispatch, loop)

    def _hand_over(self, loop: Any, handles: list[Handle]) -> None:
        loop._install_running_loop()
        try:
            for handle in handles:
                if not handle.cancelled():  # by one of those before
                    handle._run()
        except BaseException as error:  # noqa: BLE001 - signals, which whoever runs the loop is to see
            loop.call_soon(_raise, error)
        finally:
            self.selector.rearm()

    def _dispatch(self, loop: Any) -> None:
        """One round of an event loop: ask the selector, run what waited.

        A callback that calls ``poll``, as ``accept`` does, may be suspended for a turn of the page. It must
        not be run again meanwhile: its context is entered, and Python does not survive that.
        """
        if self._dispatching:
            return
        self._dispatching = True
        try:
            loop._process_events(self.selector.select(0))
            ready, self.ready = self.ready, []
            for handle in ready:
                if not handle.cancelled():
                    handle._run()
        finally:
            self._dispatching = False
            self.selector.rearm()


def _is_for_a_stream(key: SelectorKey, ready: int) -> bool:
    """Whether what is ready is data for one of asyncio's streams, whose protocol calls nobody."""
    reader = key.data[0]
    transport = getattr(reader._callback, "__self__", None) if reader and ready == EVENT_READ else None
    return isinstance(transport, SOCKET_TRANSPORT) and isinstance(
        transport.get_protocol(), StreamReaderProtocol
    )


def _raise(error: BaseException) -> None:
    raise error


def _opening(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that opens sockets, which also works where nothing can wait: see ``endpoints.deferred``."""

    async def opening(self: Any, *args: Any, **kwargs: Any) -> Any:
        with deferred() as replies:
            opened = await method(self, *args, **kwargs)
        await _settled(replies, opened[0] if isinstance(opened, tuple) else opened)
        return opened

    opening.__name__, opening.__doc__ = method.__name__, method.__doc__
    return opening


async def _settled(replies: list[Reply], opened: AbstractServer | BaseTransport) -> None:
    try:
        for reply in replies:
            checked(await reply)
    except OSError:
        opened.close()
        raise


def _stop_serving(self: Any, sock: socket.socket) -> None:
    """The path of a server goes with it, if it is still that server's (as since Python 3.13)."""
    if sock in self._unix_server_sockets:
        inode = self._unix_server_sockets.pop(sock)
        path = Path(sock.getsockname())
        with contextlib.suppress(FileNotFoundError):
            if path.is_socket() and path.stat().st_ino == inode:
                path.unlink()
    self._remove_reader(sock.fileno())
    sock.close()
