"""A page's stream socket on the proxy's host that is no connection: bound perhaps, and perhaps listening."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket as host_socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from pynet_browser.errors import ProtocolError
from pynet_browser.frames import (
    Accepted,
    Bind,
    Bound,
    Close,
    Done,
    Frame,
    Listen,
    Open,
    Option,
    Reset,
    Window,
)
from pynet_browser.proxy.binding import bind, check_listening
from pynet_browser.proxy.endpoint import (
    Endpoint,
    Request,
    authority,
    host_error,
    open_socket,
    watching_loop,
    wire_address,
)
from pynet_browser.proxy.options import set_option, window_size
from pynet_browser.proxy.policy import ANY_PORT
from pynet_browser.proxy.secured import TlsSocket
from pynet_browser.window import SendWindow

if TYPE_CHECKING:
    from pynet_browser.proxy.session import Session

__all__ = ["Listener"]

log = logging.getLogger(__name__)

ACCEPTS_AT_ONCE = 64
"""Most connections accepted before others have their turn."""

ACCEPT_AGAIN = 0.1
"""Seconds after which it is tried again where sockets had run out. Connections wait in the system's queue."""


class Listener(Endpoint):
    """A stream socket between ``open`` and ``connect``, or one that listens.

    It accepts only what its page has room for, and while the limits allow one more socket: what comes beyond
    waits in the system's own queue, and when that is full the system lets hosts wait. Nobody is turned away.
    """

    NOUN = "stream socket without a connection"
    kind = "listener"

    _session: Session
    _loop: asyncio.AbstractEventLoop

    def __init__(self, session: Session, frame: Open) -> None:
        super().__init__(session, frame.socket, frame.family)
        self._socket = open_socket(frame.family, host_socket.SOCK_STREAM)
        self._socket.setsockopt(host_socket.IPPROTO_TCP, host_socket.TCP_NODELAY, 1)
        self._any_port = False
        self._window: int | None = None
        self._backlog = 0
        self._credit: SendWindow | None = None  # of connections, once it listens
        self._accepting = False
        self._again: asyncio.TimerHandle | None = None

    # ── What the page asks ─────────────────────────────────────────────────────────────────────────

    def answer(self, request: Request, address: str) -> Frame:
        """Bind it, let it listen, or set an option."""
        match request:
            case Bind():
                self._bind(address, request.port)
            case Listen():
                self._listen(request.backlog)
            case Option(name="SO_SNDBUF"):
                self._window = window_size(request.values)
                return Done(request.socket)
            case Option():
                set_option(self._socket, request.name, request.values)
                return Done(request.socket)
            case _:
                raise host_error(errno.EOPNOTSUPP)
        return Bound(request.socket, wire_address(self._socket.getsockname()))

    def _bind(self, address: str, port: int, *, to_listen: bool = False) -> None:
        if self._bound:
            raise host_error(errno.EINVAL)
        bind(self._socket, self._session.policy, address, port, to_listen=to_listen)
        self._any_port = port == ANY_PORT

    @property
    def state(self) -> str:
        """What it is doing."""
        return "idle" if self._credit is None else "listening"

    @property
    def _bound(self) -> bool:
        return bool(self._socket.getsockname()[1])

    def _listen(self, backlog: int) -> None:
        self._loop = watching_loop()
        if self._bound:
            check_listening(self._socket, self._session.policy, any_port=self._any_port)
        else:
            self._bind("", ANY_PORT, to_listen=True)
        self._socket.listen(min(backlog, host_socket.SOMAXCONN))
        if self._credit is None:
            self._credit = SendWindow(0)
            host, port = self._socket.getsockname()[:2]
            self.stands(authority(host, port))
            self._session.decided("listen", "allowed", protocol="tcp", address=self.where)
        # Below zero when it was made smaller: then more have been accepted already than now are wanted.
        self._credit.credit += backlog - self._backlog
        self._backlog = backlog
        self.go_on()

    def connecting(self) -> tuple[TlsSocket, host_socket.socket]:
        """What takes its place to connect, and the socket of the host that it shall connect.

        Raises:
            ProtocolError: it listens.
        """
        if self._credit is not None:
            raise ProtocolError(f"socket {self.id} listens, and cannot connect")
        return self._connection(self.id), self._socket

    def _connection(self, id_: int) -> TlsSocket:
        """One with the window that was set here."""
        connection = TlsSocket(self._session, id_, self.family)
        if self._window is not None:
            connection.resize(self._window)
        return connection

    def _granted(self, frame: Window) -> None:
        if self._credit is None:
            raise ProtocolError(f"credit for socket {self.id}, which does not listen")
        self._credit.opened(frame.credit)
        self.go_on()

    def _let_go(self, _frame: Frame) -> None:
        self.abort()

    def abort(self) -> None:
        """Listen no more. What was accepted is no concern of this."""
        self._accept(False)
        if self._again:
            self._again.cancel()
        self._socket.close()
        self._session.forget(self)

    # ── Accepting ──────────────────────────────────────────────────────────────────────────────────

    def go_on(self) -> None:
        """Accept, or stop it, as credit, room and limits have it."""
        if self._credit is None:
            return
        wanted = self._credit.credit > 0
        if wanted and self._session.room <= 0:
            self._session.pause(self)
            wanted = False
        if wanted and self._session.refusal:
            self._rest()
            wanted = False
        self._accept(wanted)

    def _accept(self, wanted: bool) -> None:
        if wanted == self._accepting:
            return
        self._accepting = wanted
        if wanted:
            self._loop.add_reader(self._socket, self._readable)
        else:
            self._loop.remove_reader(self._socket)

    def _rest(self) -> None:
        """Try again in a moment: nothing will tell when there are sockets again."""
        if self._again is None:
            self._again = self._loop.call_later(ACCEPT_AGAIN, self._rested)

    def _rested(self) -> None:
        self._again = None
        self.go_on()

    def _readable(self) -> None:
        assert self._credit
        for _ in range(ACCEPTS_AT_ONCE):
            if self._credit.credit <= 0 or self._session.room <= 0 or self._session.refusal:
                break
            try:
                connection, peer = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # this process or the whole host has no more
                log.info("session %s: cannot accept: %s", self._session.name, error)
                self._rest()
                self._accept(False)
                return
            self._credit.sent(1)
            self._announce(connection, peer)
        self.go_on()

    def _announce(self, connection: host_socket.socket, peer: tuple[Any, ...]) -> None:
        connection.setblocking(False)
        socket = self._connection(self._session.new_id())
        self._session.keep(socket)
        local, remote = wire_address(connection.getsockname()), wire_address(peer)
        target = authority(remote.host, remote.port)
        self._session.decided("accept", "allowed", protocol="tcp", target=target, address=self.where)
        self._session.send(Accepted(socket.id, self.id, local, remote))
        socket.adopt(connection, remote)

    _HANDLERS: ClassVar[dict[type[Frame], Callable[[Listener, Any], None]]] = {
        Window: _granted,
        Close: _let_go,
        Reset: _let_go,
    }
