"""One session on the proxy: its link, its sockets, and the limits that hold for it."""

from __future__ import annotations

import errno
import secrets
import socket as host_socket
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from pynet_browser.errors import ProtocolError
from pynet_browser.frames import (
    Answer,
    Associate,
    Bind,
    Close,
    Connect,
    Data,
    Datagram,
    Failed,
    Frame,
    Goaway,
    Hello,
    Listen,
    Offer,
    Open,
    Option,
    Reset,
    Resolve,
    Reverse,
    Route,
    Shutdown,
    StartTls,
    Unknown,
    Unrecognized,
    Window,
)
from pynet_browser.link import Link
from pynet_browser.proxy.carriage import Carriage
from pynet_browser.proxy.channels import OFFERS_AT_ONCE, OFFERS_PER_SECOND
from pynet_browser.proxy.endpoint import Endpoint, Request, authority, reason
from pynet_browser.proxy.limits import Pace
from pynet_browser.proxy.listener import Listener
from pynet_browser.proxy.owner import Owner
from pynet_browser.proxy.requests import Requests
from pynet_browser.proxy.resolver import DialError
from pynet_browser.proxy.secured import TlsSocket
from pynet_browser.proxy.udp import DatagramSocket
from pynet_browser.window import Budget, busy_within
from pynet_browser.wire import Message, encode_frame, frames_of

if TYPE_CHECKING:
    from pynet_browser.proxy.datachannel import DataChannel
    from pynet_browser.proxy.door import Visitor
    from pynet_browser.proxy.sessions import Sessions
    from pynet_browser.proxy.tenants import Tenant

__all__ = ["Session"]

WINDOW_BUDGET = 32 << 20
"""Bytes that the windows of a session's sockets may grow by, together."""

ANSWERS_MAX = 1 << 20
"""Most bytes that a page may have answered or granted beyond what there is room for."""

STILLBORN_MAX = 1024
"""Ids of sockets that could not be opened, remembered while the page may not have heard of it."""


class Session(Owner[Endpoint]):
    """One page's session.

    Attributes:
        key: the secret without which it cannot be resumed.
        link: its numbered messages.
        carriage: what carries them.
        budget: what the windows of its sockets may grow by.
        busy: seconds that half a window takes at most where it holds the page back.
        peer_window: credit that the page grants each new socket.
    """

    def __init__(self, sessions: Sessions, tenant: Tenant, visitor: Visitor, hello: Hello) -> None:
        super().__init__(secrets.token_hex(8), sessions, tenant, visitor)
        self.key = secrets.token_urlsafe(24)
        self.peer_window = hello.window
        self.budget = Budget(WINDOW_BUDGET)
        self.busy = busy_within(0)
        self.link = Link()
        self.link.peer_replay = hello.replay
        self.carriage = Carriage(self.link, sessions.config.grace, self.taken, self.end)
        self._newest_socket = 0
        self._newest_own_socket = 0
        self._channel: DataChannel | None = None
        self._offers = Pace(OFFERS_PER_SECOND, OFFERS_AT_ONCE)
        self._stillborn: deque[int] = deque(maxlen=STILLBORN_MAX)
        self._requests = Requests(self, sessions.config.limits.resolves_per_session)

    def end(self, goodbye: Goaway | None = None) -> None:
        """Close every socket and be forgotten; what carries the session ends with ``goodbye``."""
        if self.carriage.over:
            return
        self.carriage.end(goodbye)
        for socket in list(self._sockets.values()):
            socket.abort()
        code = {"reason": goodbye.code, "message": goodbye.message} if goodbye else {}
        self.decided("session", "ended", seconds=round(time.monotonic() - self.since, 3), **code)
        self._requests.cancel()
        for brake in (self.receiving, self.sending):
            if brake is not None:
                brake.close()
        if self._channel:
            self._channel.close()
        self._account()
        self._sessions.forget(self)

    def dismiss(self, reason: str) -> None:
        """Its token is valid no more: end, and say why."""
        self.end(Goaway(0, "token", reason))

    def measured(self, round_trip: float) -> None:
        """A round trip to the page has taken so many seconds."""
        self.busy = busy_within(round_trip)

    # ── Messages ───────────────────────────────────────────────────────────────────────────────────

    def resume(self, seen: int) -> None:
        """The page greets, and has received so many messages.

        Raises:
            ProtocolError: it cannot have.
        """
        if self.link.acknowledge(seen):
            self.taken()

    def receive(self, message: Message) -> None:
        """Take in a message from any carrier of this session.

        Raises:
            ProtocolError: the session cannot go on.
        """
        if self.carriage.over:
            raise ProtocolError("the session has ended")
        if self.link.acknowledge(message.ack):
            self._room_changed()
        if message.number:
            for each in self.link.receive(message, time.monotonic()):
                for frame in frames_of(each.body):
                    self._dispatch(frame)
            if self.link.room < -ANSWERS_MAX:
                raise ProtocolError("the page has more and more answered, and acknowledges nothing")
            self.carriage.acknowledge_in_time()
        self._account()

    def send(self, frame: Frame) -> int:
        """Send a frame about a socket or a request; tells the number of its message."""
        self.link.push(encode_frame(frame))
        number = self.link.newest
        self._sending()
        return number

    def send_data(self, socket: int, data: memoryview) -> None:
        """Send bytes of a socket; they are copied."""
        self.link.push_data(socket, data)
        if self.receiving is not None:
            self.receiving.spend(len(data))
        self._sending()

    def _sending(self) -> None:
        self._account()
        self.carriage.wake()

    def _dispatch(self, frame: Frame) -> None:
        handler = self._HANDLERS.get(type(frame))
        if handler is None:
            raise ProtocolError(f"{type(frame).__name__} from a client in a numbered message")
        handler(self, frame)

    # ── The data channel ───────────────────────────────────────────────────────────────────────────

    async def open_channel(self, offer: Offer) -> Answer:
        """Make a data channel, in place of the one before; returns what the page is to be told.

        Raises:
            OSError: there can be none.
        """
        if not self._offers.allows(time.monotonic()):
            raise BlockingIOError(errno.EAGAIN, "this session has asked for a data channel too often")
        if self._channel:
            self._channel.close()

        def closed(channel: DataChannel) -> None:
            if channel is self._channel:
                self._channel = None

        made = await self._sessions.channels.make(offer, self._from_channel, closed)
        if self._channel:  # of an offer that was made meanwhile
            self._channel.close()
        self._channel = made
        return made.answer

    def datagram_channel(self, size: int, behind: int) -> DataChannel | None:
        """What brings a datagram of so many bytes, with its header, to the page; None where the session does.

        It does until message ``behind`` has arrived. A page that waits in an exchange hears nothing else.
        """
        channel = self._channel
        if behind > self.link.acknowledged:
            return None
        fits = channel and channel.open and channel.fits(size) and self.carriage.listening
        return channel if fits else None

    def _from_channel(self, message: bytes) -> None:
        """Each message is a datagram. One whose socket is gone, or not there yet, is lost."""
        try:
            [frame] = frames_of(memoryview(message))
            if not isinstance(frame, Datagram):
                raise ProtocolError(f"{type(frame).__name__} on the data channel")
            self._to_socket(frame)
        except ValueError as error:
            self.end(Goaway(0, "protocol", f"the data channel brought no datagram: {error}"))
        except ProtocolError as error:
            self.end(Goaway(0, "protocol", str(error)))

    # ── How much ───────────────────────────────────────────────────────────────────────────────────

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.carriage.over

    @property
    def buffered(self) -> int:
        """Bytes held for this session in all."""
        return self.link.buffered + self._held

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if the session ended now."""
        return not (self._sockets or self._requests) and self.link.all_acknowledged

    @property
    def room(self) -> int:
        """Bytes that sockets may still pass on to the page.

        There is none when the carrier is behind, when the page acknowledges too little or all pages together
        do, and when more bytes have come than may in a second.
        """
        room = 0 if self.starved else min(self.link.room, self.carriage.ahead - self.link.unsent)
        return room if self.receiving is None else self.receiving.within(room)

    # ── Sockets ────────────────────────────────────────────────────────────────────────────────────

    def new_id(self) -> int:
        """An id for a connection that came in."""
        self._newest_own_socket += 2
        return self._newest_own_socket

    def _claim(self, id_: int) -> None:
        """The page names a new socket.

        Raises:
            ProtocolError: it must not have this id.
        """
        if id_ % 2 == 0 or id_ <= self._newest_socket:
            raise ProtocolError(f"{id_} is no id for a new socket")
        self._newest_socket = id_

    def _open(self, frame: Open) -> None:
        self._claim(frame.socket)
        refusal = self.refusal
        try:
            if refusal is None:
                self.keep((DatagramSocket if frame.datagram else Listener)(self, frame))
        except OSError as error:
            refusal = DialError(*reason(error))
        if refusal:
            self._stillborn.append(frame.socket)
            self.failed("open", refusal)
            self.send(Reset(frame.socket, refusal.code, refusal.message))

    def _connect(self, frame: Connect) -> None:
        opened = self._sockets.get(frame.socket)
        if isinstance(opened, Listener):
            socket, bound = opened.connecting()
            self._sockets[frame.socket] = socket
            self._dial(socket, frame, bound)
        elif frame.socket not in self._stillborn:  # of those the page has yet to hear
            self._claim(frame.socket)
            if refusal := self.refusal:
                self.failed("connect", refusal, protocol="tcp", target=authority(frame.host, frame.port))
                self.send(Reset(frame.socket, refusal.code, refusal.message))
            else:
                socket = TlsSocket(self, frame.socket, frame.family)
                self.keep(socket)
                self._dial(socket, frame)

    def _dial(self, socket: TlsSocket, target: Connect, bound: host_socket.socket | None = None) -> None:
        longest = self._sessions.config.connect_timeout
        timeout = min(target.timeout / 1000 or longest, longest)
        socket.dial(target, self.resolver, timeout, self.connects.delay(time.monotonic()), bound)

    def _to_socket(self, frame: Frame) -> None:
        # Frames for an id that is gone crossed its end on the way.
        if socket := self._sockets.get(frame.socket):
            socket.receive(frame)

    def _request(self, frame: Resolve | Reverse) -> None:
        self._requests.ask(frame)

    def _request_of_socket(self, frame: Request) -> None:
        self._requests.ask_socket(frame)

    def _offer(self, frame: Offer) -> None:
        self._requests.offer(frame)

    def _start_tls(self, frame: StartTls) -> None:
        config = self._sessions.config
        if config.tls_proxy:
            longest = config.connect_timeout
            self._requests.secure(frame, min(frame.timeout / 1000 or longest, longest))
        else:
            message = "this proxy ends no TLS for pages; its operator can allow that with --tls-proxy"
            self.refused("tls", "tls_proxy", message=message)
            self.send(Failed(frame.socket, "EACCES", message))

    def _unrecognized(self, frame: Unrecognized) -> None:
        self.send(Unknown(frame.socket, frame.kind))

    def _unknown(self, frame: Unknown) -> None:
        """The page is older than this proxy; whatever was told it was not needed."""

    _HANDLERS: ClassVar[dict[type[Frame], Callable[[Session, Any], None]]] = {
        Open: _open,
        Connect: _connect,
        Data: _to_socket,
        Datagram: _to_socket,
        Window: _to_socket,
        Shutdown: _to_socket,
        Close: _to_socket,
        Reset: _to_socket,
        Resolve: _request,
        Reverse: _request,
        Bind: _request_of_socket,
        Listen: _request_of_socket,
        Associate: _request_of_socket,
        Option: _request_of_socket,
        Route: _to_socket,
        Offer: _offer,
        StartTls: _start_tls,
        Unrecognized: _unrecognized,
        Unknown: _unknown,
    }
