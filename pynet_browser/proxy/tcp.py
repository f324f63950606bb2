"""A page's TCP socket on the proxy's host: an asyncio protocol between one connection and one session."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket as host_socket
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from pynet_browser.errors import ProtocolError
from pynet_browser.fields import Address
from pynet_browser.frames import (
    Associate,
    Close,
    Connect,
    Connected,
    Data,
    Done,
    Frame,
    Option,
    Reset,
    Shutdown,
    Window,
)
from pynet_browser.proxy.brake import Brake
from pynet_browser.proxy.endpoint import (
    Endpoint,
    EndpointOwner,
    Request,
    authority,
    host_error,
    leftovers,
    open_socket,
    reason,
    reset_on_close,
    wire_address,
)
from pynet_browser.proxy.options import set_option, window_size
from pynet_browser.proxy.resets import ResetWatch
from pynet_browser.proxy.resolver import DialError, Resolver
from pynet_browser.proxy.tcp_states import STATES, turned
from pynet_browser.window import ReceiveWindow, SendWindow

__all__ = ["LINGER", "READ_MAX", "HostSocket"]

READ_MAX = 256 * 1024
"""Most bytes read at once, and so in one data frame."""

READ_UNASKED = 4096
"""Bytes read where an event loop insists although reading should stop. They are kept until they may go on."""

LINGER = 60.0
"""Seconds that a closed socket may take to deliver what was written to it."""


class HostSocket(Endpoint, asyncio.BufferedProtocol):
    """One connection of a page, made for it or accepted.

    Towards the page no more is read than may be passed on at once: what waits, waits at the host. Towards the
    host the page's window bounds what waits, until the connection stands and while the host does not read.
    It is counted, and credit for it is given when it has gone out.
    """

    NOUN = "connection"
    kind = "tcp"

    _transport: asyncio.Transport

    def __init__(self, session: EndpointOwner, id_: int, family: int) -> None:
        super().__init__(session, id_, family)
        self._target: Connect | None = None
        self._state = "dialing"
        self._dialing: asyncio.Task[None] | None = None
        self._socket: host_socket.socket | None = None  # until a transport has it
        self._options: dict[str, Sequence[str]] = {}  # until there is a socket
        self._page_ended = False
        self._incoming = ReceiveWindow(session.budget)
        self._outgoing = SendWindow(session.peer_window)
        self._credit = 0  # to be granted when the connection stands
        # To the host.
        self._stuck = True
        self._waiting = bytearray()
        self._held = 0  # what waits, and what the transport has not sent
        # To the page.
        self._reading = True
        self._backlog = b""
        self._after_backlog: Frame | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._resets = ResetWatch()

    # ── Connecting ─────────────────────────────────────────────────────────────────────────────────

    def dial(
        self,
        target: Connect,
        resolver: Resolver,
        timeout: float,
        delay: float,
        bound: host_socket.socket | None = None,
    ) -> None:
        """Start to connect, after ``delay`` seconds; both must be over within ``timeout`` seconds.

        ``bound`` is the socket to connect, if there is one already; it is taken over.
        """
        self._target = target
        self.where = authority(target.host, target.port)
        self._socket = bound
        self._dialing = asyncio.create_task(self._dial(target, resolver, timeout, delay))
        self._dialing.add_done_callback(self._dialed)

    def adopt(self, connection: host_socket.socket, peer: Address) -> None:
        """Take over a connection that the host has accepted."""
        self.where = authority(peer.host, peer.port)
        self._socket = connection
        self._dialing = asyncio.create_task(self._attach(connection))
        self._dialing.add_done_callback(self._dialed)

    async def _dial(self, target: Connect, resolver: Resolver, timeout: float, delay: float) -> None:
        try:
            left = await self._session.turn(delay, timeout)
            self._socket = await resolver.dial(
                target.host, target.port, family=self.family, timeout=left, bound=self._socket
            )
            await self._attach(self._socket)
        except DialError as error:
            self._session.failed("connect", error, protocol="tcp", target=self.where)
            self._gone(error.code, error.message)
        except OSError as error:
            self._gone(*reason(error))

    async def _attach(self, connection: host_socket.socket) -> None:
        if not connection.getsockopt(host_socket.IPPROTO_TCP, host_socket.TCP_NODELAY):
            self._options["TCP_NODELAY"] = ("0",)  # event loops set it without being asked
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, sock=connection)
        except OSError as error:
            self._gone(*reason(error))

    def _dialed(self, _task: asyncio.Task[None]) -> None:
        self._dialing = None  # its error would keep this alive
        if self._socket is not None:
            self._socket.close()

    def close_when_made(self) -> None:
        """Let go as at a page's ``Close``, which never comes so early: while the connection is being made.

        The event loop must have taken the connection over: uvloop leaves open what was closed before.
        """
        if self._dialing:
            self._dialing.add_done_callback(lambda _: self.receive(Close(self.id)))
        else:
            asyncio.get_running_loop().call_soon(self.receive, Close(self.id))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._socket = None
        if self._state != "dialing":  # the page let go at the last moment
            self._transport.abort()
            return
        # The transport shall keep nothing of its own: what is not sent at once waits here, and is counted.
        self._transport.set_write_buffer_limits(high=0)
        self._turn("connected")
        self.stands(self.where)
        for name, values in self._options.items():
            with contextlib.suppress(OSError):  # of another family than it was tried with
                set_option(transport.get_extra_info("socket"), name, values)
        if self._target is not None:
            self._tell_ends(self._target.port)
        if self._credit:
            self._session.send(Window(self.id, self._credit))
        self.resume_writing()
        if self._page_ended:
            self._end()
        self.go_on()

    def _tell_ends(self, port: int) -> None:
        local, peer = (self._transport.get_extra_info(name) for name in ("sockname", "peername"))
        # A host that has reset the connection already is nobody's peer any more.
        peer = peer or ("::" if ":" in local[0] else "0.0.0.0", port)
        address = authority(*peer[:2])
        self._session.decided("connect", "allowed", protocol="tcp", target=self.where, address=address)
        self._session.send(Connected(self.id, wire_address(local), wire_address(peer)))

    @property
    def state(self) -> str:
        """What it is doing."""
        return STATES[self._state]

    # ── Options ────────────────────────────────────────────────────────────────────────────────────

    def answer(self, request: Request, _address: str) -> Frame:
        """Set an option; nothing else can be done to a connection."""
        match request:
            case Option(name="SO_SNDBUF"):
                self.resize(window_size(request.values))
            case Option():
                self._set_option(request.name, request.values)
            case Associate():
                raise host_error(errno.EOPNOTSUPP)
            case _:
                raise host_error(errno.EINVAL)
        return Done(request.socket)

    def resize(self, size: int) -> None:
        """Set the size of the window for what the page sends."""
        if self._state not in ("dialing", "open", "host_done"):
            return
        credit = self._incoming.resize(size)
        if self._state == "dialing":
            self._credit += credit
        elif credit:
            self._session.send(Window(self.id, credit))

    def _set_option(self, name: str, values: Sequence[str]) -> None:
        if self._state == "closed":  # its data is still to be read; the socket is no more
            return
        if self._state != "dialing":
            set_option(self._transport.get_extra_info("socket"), name, values)
        elif self._socket is not None:
            set_option(self._socket, name, values)
        else:
            # Which socket it will be is not known yet, but what one says to it.
            with open_socket(6 if name.startswith("IPV6_") else 4, host_socket.SOCK_STREAM) as trial:
                set_option(trial, name, values)
            self._options[name] = values

    # ── From the page ──────────────────────────────────────────────────────────────────────────────

    def receive(self, frame: Frame) -> None:
        """Do what the page asks.

        Raises:
            ProtocolError: it asks what a connection in this state cannot do.
        """
        if self._state != "closing":  # the page has let go; what it says about the id now means nothing
            super().receive(frame)

    def _data(self, frame: Data) -> None:
        size = len(frame.data)
        self.traffic.sent += size
        self._incoming.received(size)
        if self._page_ended:
            raise ProtocolError(f"data for socket {self.id} after its end")
        if self._state == "closed":
            return
        if self._stuck or self._session.sending is not None:
            self._waiting += frame.data
            self._hold(size)
            self._send_on()
        # The frame is a view: the transport would keep the whole message for the sake of one byte not sent.
        elif self._write(bytes(frame.data)):
            self._consumed(size)
        else:
            self._hold(size)

    def _write(self, data: bytes | bytearray) -> bool:
        """Give bytes to the transport; tells whether all have gone out."""
        self._transport.write(data)
        if self._state == "host_done":
            self._resets.begin(self._transport, lambda: self._state == "host_done")
        return not self._stuck

    def _hold(self, size: int) -> None:
        self._held += size
        if not self._session.hold(size):
            message = "the proxy holds too much (limits.buffered_per_session, limits.buffered_total)"
            self._session.send(Reset(self.id, "ENOBUFS", message))
            self.abort(reset=True)

    def pause_writing(self) -> None:
        """The host does not take data as fast as it comes."""
        self._stuck = True

    def resume_writing(self) -> None:
        """The host has caught up, or has just accepted."""
        self._stuck = False
        self._send_on()

    def _send_on(self) -> None:
        """Send what waits and may go now, and then what was to follow it."""
        if self._stuck or self._state == "closed":
            return
        waited = bool(self._waiting)
        left = self._write_waiting()
        gone, self._held = self._held - left, left
        if gone:
            self._session.released(gone)
            self._consumed(gone)
        if waited and self._state in ("page_done", "done", "closing"):
            self._linger()
            self._finish_sending()

    def _write_waiting(self) -> int:
        """Give to the transport what waits and may go; tells how much has not gone out."""
        brake = self._session.sending
        if brake is not None:
            return self._write_within(brake)
        waiting, self._waiting = self._waiting, bytearray()
        return len(waiting) if waiting and not self._write(waiting) else 0

    def _write_within(self, brake: Brake) -> int:
        while self._waiting and not self._stuck:
            size = brake.within(len(self._waiting))
            if not size:
                brake.wait(self._send_on)
                break
            piece = bytes(self._waiting[:size])
            del self._waiting[:size]
            brake.spend(size)
            if not self._write(piece):
                return size + len(self._waiting)
        return len(self._waiting)

    def _consumed(self, size: int) -> None:
        credit = self._incoming.consumed(size, self._held, time.monotonic(), self._session.busy)
        if credit and self._state in ("open", "host_done"):
            self._session.send(Window(self.id, credit))

    def _window(self, frame: Window) -> None:
        self._outgoing.opened(frame.credit)
        self.go_on()

    def _shutdown(self, _frame: Shutdown) -> None:
        if self._page_ended:
            raise ProtocolError(f"socket {self.id} ends twice")
        self._page_ended = True
        if self._state in ("open", "host_done"):
            self._end()

    def _end(self) -> None:
        self._turn("page_ended")
        self._write_waiting()
        self._finish_sending()

    def _finish_sending(self) -> None:
        """The page has ended its half, or let go: so does this, once all that it sent has gone."""
        if self._waiting:
            return
        if self._state == "closing":
            self._transport.close()
            return
        with contextlib.suppress(OSError):  # reset by the host; connection_lost is about to tell
            self._transport.write_eof()
        self._finish()

    def _close(self, _frame: Close) -> None:
        """What was written still goes out; what the host sends meets a closed socket, as on any system."""
        self._backlog, self._after_backlog = b"", None
        if self._state in ("dialing", "closed"):
            self.abort()
        else:
            self._turn("page_closed")
            self._write_waiting()
            self._linger()
            self._finish_sending()

    def _linger(self) -> None:
        if self._state == "closing":
            if self._lingering:
                self._lingering.cancel()
            self._lingering = asyncio.get_running_loop().call_later(LINGER, self.abort)

    def _reset_by_page(self, _frame: Reset) -> None:
        self.abort(reset=True)

    def abort(self, *, reset: bool = False) -> None:
        """Let go of the connection at once.

        The host sees a RST with ``reset``, and also when it was not sent everything: it must not take a part
        for the whole. Otherwise it sees a FIN.
        """
        dialing = self._state == "dialing"
        if self._state != "closed":
            sock = self._socket if dialing else self._transport.get_extra_info("socket")
            if sock is not None and (reset or self._held):
                reset_on_close(sock)
            if not dialing:
                self._transport.abort()
            elif self._dialing:
                self._dialing.cancel()
        self._backlog, self._after_backlog = b"", None
        self._turn("gone")
        self._release()

    # ── From the host ──────────────────────────────────────────────────────────────────────────────

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where to read into: as much as may be passed on."""
        size = min(self._outgoing.credit, self._session.room, READ_MAX)
        return self._session.scratch[: size if size > 0 else READ_UNASKED]

    def buffer_updated(self, nbytes: int) -> None:
        """The host has sent bytes."""
        self.traffic.received += nbytes
        if self._state in ("closing", "closed"):
            return
        data = self._session.scratch[:nbytes]
        sent = 0 if self._backlog else self._pass_on(data)
        if sent < nbytes:
            self._backlog += bytes(data[sent:])
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
        self._resets.stop()
        if self._lingering:
            self._lingering.cancel()
        # Where both FINs were passed on, the end of the connection is no news.
        expected = self._state in ("closing", "closed") or (self._state == "done" and exc is None)
        number = exc.errno if isinstance(exc, OSError) else None
        if expected:
            self._turn("gone")
            self._release()
        else:
            self._rescue()
            self._gone(errno.errorcode.get(number or 0, "ECONNRESET"))

    def _rescue(self) -> None:
        """Read what the host sent before the connection broke.

        Where it was a write that failed, that is still there, as on any system: perhaps an answer that says
        why the host hung up.
        """
        sock = self._transport.get_extra_info("socket")
        if sock is not None and self._state in ("open", "page_done"):
            self._backlog += leftovers(sock, READ_MAX - len(self._backlog))

    def go_on(self) -> None:
        """Pass on what the page's window and the session allow, and read on if nothing is left."""
        if self._backlog:
            self._backlog = self._backlog[self._pass_on(memoryview(self._backlog)) :]
        room = self._session.room > 0
        if not room:
            self._session.pause(self)
        if self._after_backlog and not self._backlog:
            frame, self._after_backlog = self._after_backlog, None
            self._session.send(frame)
        if self._state == "closed":
            self._release()
        elif self._state in ("open", "page_done"):
            self._read(room and not self._backlog and self._outgoing.credit > 0)

    def _pass_on(self, data: memoryview) -> int:
        """Send as much as the page's window and the session allow; returns how many bytes."""
        size = min(len(data), self._outgoing.credit) if self._session.room > 0 else 0
        if size:
            self._session.send_data(self.id, data[:size])
            self._outgoing.sent(size)
        return size

    def _read(self, wanted: bool) -> None:
        if wanted != self._reading:
            self._reading = wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    # ── Ends ───────────────────────────────────────────────────────────────────────────────────────

    def _finish(self) -> None:
        """Both directions have ended: the connection has nothing more to do."""
        if self._state == "done" and not self._waiting:
            self._transport.close()

    def _gone(self, code: str, message: str = "") -> None:
        """The connection failed: the page learns it after the data that came before."""
        self.ended = code
        self._turn("gone")
        self._after_backlog = Reset(self.id, code, message)
        self.go_on()

    def _release(self) -> None:
        """Give back what the connection held; be forgotten once the page has all of its data."""
        held, self._held, self._waiting = self._held, 0, bytearray()
        self._session.released(held)
        self._incoming.close()
        if not self._backlog and self._after_backlog is None:
            self._session.forget(self)

    def _turn(self, event: str) -> None:
        self._state = turned(self._state, event)

    _HANDLERS: ClassVar[dict[type[Frame], Callable[[HostSocket, Any], None]]] = {
        Data: _data,
        Window: _window,
        Shutdown: _shutdown,
        Close: _close,
        Reset: _reset_by_page,
    }
