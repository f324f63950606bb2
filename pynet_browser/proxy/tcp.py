"""A page's TCP socket on the proxy's host: an asyncio protocol between one connection and one session."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket as host_socket
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pynet_browser.errors import ProtocolError
from pynet_browser.proxy.resolver import DialError, Resolver
from pynet_browser.window import ReceiveWindow, SendWindow
from pynet_browser.wire import Address, Close, Connect, Connected, Data, Frame, Reset, Shutdown, Window

if TYPE_CHECKING:
    from pynet_browser.proxy.session import Session

__all__ = ["HostSocket"]

FRAME_MAX = 256 * 1024
"""Most bytes in one data frame."""

LINGER = 60.0
"""Seconds that a closed socket may take to deliver what was written to it."""

TRANSITIONS: dict[str, dict[str, str]] = {
    "dialing": {"connected": "open", "gone": "closed", "page_closed": "closed"},
    "open": {
        "host_ended": "host_done",
        "page_ended": "page_done",
        "gone": "closed",
        "page_closed": "closing",
    },
    "host_done": {"page_ended": "done", "gone": "closed", "page_closed": "closing"},
    "page_done": {"host_ended": "done", "gone": "closed", "page_closed": "closing"},
    "done": {"gone": "closed", "page_closed": "closing"},
    "closing": {"gone": "closed"},
    "closed": {"gone": "closed"},
}
"""host_done, page_done: that side has sent its FIN; closing: the page let go, data is still going out."""


class HostSocket(asyncio.Protocol):
    """One connection made for a page.

    Towards the host the transport's buffer is the only queue: what does not fit is counted, and credit for
    it is given when it has gone out. Towards the page at most one piece is kept, while the host is not read.
    """

    _transport: asyncio.Transport

    def __init__(self, id_: int, session: Session) -> None:
        self.id = id_
        self._session = session
        self._state = "dialing"
        self._dialing: asyncio.Task[None] | None = None
        self._incoming = ReceiveWindow(session.budget)
        self._outgoing = SendWindow(session.peer_window)
        self._early: list[Data] = []
        self._ended_early = False
        self._stuck = False
        self._held = 0
        self._backlog = memoryview(b"")
        self._after_backlog: Frame | None = None
        self._reading = True
        self._lingering: asyncio.TimerHandle | None = None

    # ── Connecting ─────────────────────────────────────────────────────────────────────────────────

    def dial(self, resolver: Resolver, target: Connect, delay: float) -> None:
        """Start to connect, after ``delay`` seconds."""
        self._dialing = asyncio.create_task(self._dial(resolver, target, delay))

    async def _dial(self, resolver: Resolver, target: Connect, delay: float) -> None:
        timeout = target.timeout / 1000 or None
        try:
            if delay:
                await asyncio.sleep(delay)
            connection = await resolver.dial(target.host, target.port, family=target.family, timeout=timeout)
            try:
                await asyncio.get_running_loop().create_connection(lambda: self, sock=connection)
            except BaseException:
                connection.close()
                raise
        except DialError as error:
            self._gone(error.code, error.message)
        except OSError as error:
            self._gone(errno.errorcode.get(error.errno or 0, "EIO"), str(error))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The host has accepted."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        if self._state != "dialing":  # the page let go at the last moment
            self._transport.abort()
            return
        self._turn("connected")
        local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        self._session.send(Connected(self.id, _address(local), _address(peer)))
        early, self._early = self._early, []
        for frame in early:
            self._write(frame)
        if self._ended_early:
            self._end()

    # ── From the page ──────────────────────────────────────────────────────────────────────────────

    def receive(self, frame: Frame) -> None:
        """Do what the page asks.

        Raises:
            ProtocolError: it asks what a socket in this state cannot do.
        """
        self._HANDLERS[type(frame)](self, frame)

    def _data(self, frame: Data) -> None:
        size = len(frame.data)
        self._incoming.received(size)
        if self._state in ("page_done", "done") or self._ended_early:
            raise ProtocolError(f"data for socket {self.id} after its end")
        if self._state == "dialing":
            self._early.append(frame)
        elif self._state in ("open", "host_done"):
            self._write(frame)

    def _write(self, frame: Data) -> None:
        size = len(frame.data)
        self._transport.write(frame.data)
        if self._stuck:
            self._held += size
            if not self._session.hold(size):
                self._reset("ENOBUFS", "the proxy holds too much for this page (limits.buffered_per_session)")
        else:
            self._consumed(size)

    def _window(self, frame: Window) -> None:
        self._outgoing.opened(frame.credit)
        self.go_on()

    def _shutdown(self, _frame: Shutdown) -> None:
        if self._state == "dialing":
            self._ended_early = True
        elif self._state not in ("closing", "closed"):
            self._end()

    def _end(self) -> None:
        self._turn("page_ended")
        self._transport.write_eof()
        self._finish()

    def _close(self, _frame: Close) -> None:
        """What was written still goes out; what the host sends meets a closed socket, as on any system."""
        self._backlog, self._after_backlog = memoryview(b""), None
        if self._state in ("dialing", "closed"):
            self.abort()
        elif self._state != "closing":
            self._turn("page_closed")
            self._transport.close()
            self._lingering = asyncio.get_running_loop().call_later(LINGER, self._transport.abort)

    def _reset_by_page(self, _frame: Reset) -> None:
        self.abort(reset=True)

    def abort(self, *, reset: bool = False) -> None:
        """Let go of the connection at once; with ``reset`` the host sees a RST instead of a FIN."""
        if self._state not in ("dialing", "closed"):
            sock = self._transport.get_extra_info("socket")
            if reset and sock is not None:
                with contextlib.suppress(OSError):
                    sock.setsockopt(host_socket.SOL_SOCKET, host_socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        self._backlog, self._after_backlog = memoryview(b""), None
        self._turn("gone")
        self._release()

    # ── From the host ──────────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        """The host has sent bytes: pass on what the page's window takes, keep the rest and stop reading."""
        if self._state in ("closing", "closed"):
            return
        self._backlog = memoryview(bytes(self._backlog) + data if self._backlog else data)
        self.go_on()

    def eof_received(self) -> bool:
        """The host has sent its FIN; the other direction stays open."""
        if self._state in ("closing", "closed"):
            return False
        self._turn("host_ended")
        self._after_backlog = Shutdown(self.id)
        self.go_on()
        self._finish()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: by an error, or because this end closed it."""
        if self._lingering:
            self._lingering.cancel()
        # Where both FINs were passed on, the end of the connection is no news.
        expected = self._state in ("closing", "closed") or (self._state == "done" and exc is None)
        number = exc.errno if isinstance(exc, OSError) else None
        if expected:
            self._turn("gone")
            self._release()
        else:
            self._gone(errno.errorcode.get(number or 0, "ECONNRESET"))

    def pause_writing(self) -> None:
        """The host does not take data as fast as it comes."""
        self._stuck = True

    def resume_writing(self) -> None:
        """The host has caught up."""
        self._stuck = False
        held, self._held = self._held, 0
        if held:
            self._session.released(held)
            self._consumed(held)

    def go_on(self) -> None:
        """Pass on what the page's window and the session's limits allow, and read on if all is passed on."""
        while self._backlog and self._outgoing.credit and not self._session.full:
            size = min(len(self._backlog), self._outgoing.credit, FRAME_MAX)
            self._session.send_data(self.id, self._backlog[:size])
            self._outgoing.sent(size)
            self._backlog = self._backlog[size:]
        if self._session.full:
            self._session.pause(self)
        if self._after_backlog and not self._backlog:
            frame, self._after_backlog = self._after_backlog, None
            self._session.send(frame)
        if self._state == "closed":
            self._release()
        elif self._state in ("open", "page_done"):
            self._read(not self._backlog and self._outgoing.credit > 0 and not self._session.full)

    def _read(self, wanted: bool) -> None:
        if wanted != self._reading:
            self._reading = wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    # ── Ends ───────────────────────────────────────────────────────────────────────────────────────

    def _finish(self) -> None:
        """Both directions have ended: the connection has nothing more to do."""
        if self._state == "done":
            self._transport.close()

    def _gone(self, code: str, message: str = "") -> None:
        """The connection failed: the page learns it after the data that came before."""
        self._turn("gone")
        self._after_backlog = Reset(self.id, code, message)
        self.go_on()

    def _reset(self, code: str, message: str) -> None:
        """The proxy breaks the connection off."""
        self._session.send(Reset(self.id, code, message))
        self.abort(reset=True)

    def _release(self) -> None:
        """Give back what the connection held; be forgotten once the page has all of its data."""
        if self._dialing:
            self._dialing.cancel()
        held, self._held = self._held, 0
        self._session.released(held)
        self._early.clear()
        self._incoming.close()
        if not self._backlog and self._after_backlog is None:
            self._session.forget(self)

    def _consumed(self, size: int) -> None:
        credit = self._incoming.consumed(size, self._held, time.monotonic())
        if credit:
            self._session.send(Window(self.id, credit))

    def _turn(self, event: str) -> None:
        try:
            self._state = TRANSITIONS[self._state][event]
        except KeyError:
            raise ProtocolError(f"{event!r} cannot happen to a socket that is {self._state}") from None

    _HANDLERS: ClassVar[dict[type[Frame], Callable[[HostSocket, Any], None]]] = {
        Data: _data,
        Window: _window,
        Shutdown: _shutdown,
        Close: _close,
        Reset: _reset_by_page,
    }


def _address(name: tuple[Any, ...]) -> Address:
    """An address as the wire has it; a zone (``fe80::1%eth0``) means nothing to a page."""
    host = str(name[0]).partition("%")[0]
    return Address(6 if ":" in host else 4, host, int(name[1]))
