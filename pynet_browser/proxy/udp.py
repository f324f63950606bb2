"""A page's UDP socket on the proxy's host."""

from __future__ import annotations

import asyncio
import errno
import socket as host_socket
import time
from collections.abc import Callable
from typing import Any, ClassVar

from pynet_browser.fields import Address, Buffer
from pynet_browser.frames import (
    Associate,
    Associated,
    Bind,
    Bound,
    Close,
    Datagram,
    Done,
    Dropped,
    Fault,
    Frame,
    Open,
    Option,
    Reset,
    Route,
)
from pynet_browser.proxy import addresses
from pynet_browser.proxy.binding import ANY_ADDRESS, bind
from pynet_browser.proxy.endpoint import (
    Endpoint,
    EndpointOwner,
    Request,
    host_error,
    open_socket,
    reason,
    watching_loop,
    wire_address,
)
from pynet_browser.proxy.limits import Pace
from pynet_browser.proxy.options import JOINING, set_option
from pynet_browser.proxy.peers import Peer, Peers
from pynet_browser.proxy.policy import ANY_PORT, ForbiddenError
from pynet_browser.wire import encode_frame

__all__ = ["DATAGRAM_MAX", "DatagramSocket"]

DATAGRAM_MAX = 65507
"""Most bytes of data in one datagram: what IPv4 has room for behind its header and UDP's."""

DATAGRAMS_AT_ONCE = 64
"""Most datagrams read before others have their turn."""

FAULTS_PER_SECOND = 10
"""Faults that a page is told of, so that many small datagrams are not answered by as many sentences."""

QUIET = 0.1
"""Seconds after which the page is told of what was dropped, if nothing else is sent to it before."""

HEADERS_MAX = 64
"""Bytes before a datagram in its frame, at most: two headers, and an address as text."""

CHANGING = 1.0
"""Seconds for which a socket waits for a moment's silence before its datagrams go by the data channel."""

LINGER = 0.1
"""Seconds for which a socket that was closed still sends what comes late by a data channel."""

COUNT_MAX = (1 << 32) - 1


class DatagramSocket(Endpoint):
    """One UDP socket of a page.

    Nothing waits here: a datagram that cannot be passed on at once is thrown away, and counted.
    """

    NOUN = "datagram socket"
    kind = "udp"

    def __init__(self, session: EndpointOwner, frame: Open) -> None:
        super().__init__(session, frame.socket, frame.family)
        self._loop = watching_loop()
        self._socket = open_socket(frame.family, host_socket.SOCK_DGRAM)
        self._peers = Peers(session, self._socket)
        self.stands("")
        self._faults = Pace(FAULTS_PER_SECOND, FAULTS_PER_SECOND)
        self._dropped = 0
        self._lingering: asyncio.TimerHandle | None = None
        self._channel = False  # whether the page hears of it by the data channel, where there is one
        self._routed_at = 0.0
        self._behind = 0  # number of the message that carries the last datagram which went by the session
        self._telling: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket, self._readable)

    # ── What the page asks ─────────────────────────────────────────────────────────────────────────

    def answer(self, request: Request, address: str) -> Frame:
        """Bind it, give it one peer, or set an option."""
        match request:
            case Bind():
                self._bind(address, request.port)
                return Bound(request.socket, self._local)
            case Associate():
                peer = self._connect(request, address)
                return Associated(request.socket, self._local, peer.address)
            case Option():
                self._set_option(request)
                return Done(request.socket)
            case _:
                raise host_error(errno.EOPNOTSUPP)

    @property
    def state(self) -> str:
        """What it is doing."""
        return "associated" if self._peers.associate else "open"

    @property
    def _local(self) -> Address:
        return wire_address(self._socket.getsockname())

    def _bind(self, address: str, port: int) -> None:
        if self._local.port:
            raise host_error(errno.EINVAL)
        try:
            bind(self._socket, self._session.policy, address, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not LINGERING:
                raise
            for socket in list(LINGERING):
                socket.abort()
            bind(self._socket, self._session.policy, address, port)
        self._peers.know_port()

    def _connect(self, request: Associate, address: str) -> Peer:
        named = addresses.canonical(request.host) if request.host else None
        return self._peers.connect(address or ANY_ADDRESS[self._socket.family], request.port, named)

    def _set_option(self, request: Option) -> None:
        if request.name in JOINING and request.values:
            self._check_group(request.values[0])
        set_option(self._socket, request.name, request.values)

    def _check_group(self, text: str) -> None:
        group = addresses.literal(text)
        if group is None:
            raise host_error(errno.EINVAL)
        decision = self._session.policy.decide("udp", str(group), group, self._local.port or ANY_PORT)
        if not decision.allowed:
            raise ForbiddenError(decision)

    def _let_go(self, frame: Frame) -> None:
        if self._channel and isinstance(frame, Close):
            self._linger()
        else:
            self.abort()

    def _linger(self) -> None:
        """What was sent by the channel may be behind the end of its socket, which came with the session."""
        if self._lingering is None:
            self._loop.remove_reader(self._socket)
            self._lingering = self._loop.call_later(LINGER, self.abort)
            LINGERING.add(self)

    def _route(self, frame: Route) -> None:
        self._channel = bool(frame.channel)
        self._routed_at = time.monotonic()

    def abort(self) -> None:
        """Let go of the port."""
        if self._lingering:
            self._lingering.cancel()
            LINGERING.discard(self)
        self._loop.remove_reader(self._socket)
        if self._telling:
            self._telling.cancel()
        self._socket.close()
        self._peers.forget()
        self._session.forget(self)

    def go_on(self) -> None:
        """It never waits."""

    # ── Datagrams ──────────────────────────────────────────────────────────────────────────────────

    def _send(self, frame: Datagram) -> None:
        brake = self._session.sending
        too_much = brake is not None and not brake.within(1)
        if too_much or not self._session.sent_datagrams.allows(time.monotonic()):
            self._drop()
            return
        if brake is not None:
            brake.spend(len(frame.data))
        try:
            if len(frame.data) > DATAGRAM_MAX:
                raise host_error(errno.EMSGSIZE)
            self._transmit(frame.data, self._peers.destination(frame.address))
        except OSError as error:
            self._fault(error)
        else:
            self._peers.sent()

    def _transmit(self, data: Buffer, peer: Peer) -> None:
        try:
            try:
                self._hand_over(data, peer)
            except ConnectionRefusedError as error:
                # That is about one sent before to the associate, and kept this one from being sent.
                self._fault(error)
                self._hand_over(data, peer)
        except BlockingIOError:
            self._drop()
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._drop()

    def _hand_over(self, data: Buffer, peer: Peer) -> None:
        self.traffic.sent += len(data)
        if peer is self._peers.associate:
            self._socket.send(data)  # BSD wants no address where there is an associate
        else:
            self._socket.sendto(data, peer.name)

    def _readable(self) -> None:
        for turn in range(DATAGRAMS_AT_ONCE):
            try:
                size, name = self._socket.recvfrom_into(self._session.scratch)
            except BlockingIOError:
                if turn == 0:  # there was an error, and whoever sent at the same time has met it
                    self._watch_again()
                return
            except OSError as error:
                self._fault(error)
                self._watch_again()
            else:
                self._heard(size, name)

    def _watch_again(self) -> None:
        """libuv, and with it uvloop, stops watching a socket that had an error."""
        self._loop.remove_reader(self._socket)
        self._loop.add_reader(self._socket, self._readable)

    def _heard(self, size: int, name: tuple[Any, ...]) -> None:
        source = self._peers.source(name)
        if source is None:
            return
        self.traffic.received += size
        session = self._session
        frame = Datagram(self.id, source.address, session.scratch[:size])
        channel = session.datagram_channel(size + HEADERS_MAX, self._awaited()) if self._channel else None
        room = channel is not None or session.room > 0
        brake = session.receiving
        if brake is not None:
            room = room and bool(brake.within(1))
            brake.spend(size if room else 0)
        if size > DATAGRAM_MAX or not room or not session.heard_datagrams.allows(time.monotonic()):
            self._drop()
        elif channel is None:
            self._tell_dropped()
            self._behind = session.send(frame)
        elif not channel.send(encode_frame(frame)):
            self._drop()

    def _awaited(self) -> int:
        """Which message must have arrived before datagrams go by the channel.

        So none overtakes those that went by the session while the socket changes over. A host that never
        pauses is changed over all the same.
        """
        return self._behind if time.monotonic() - self._routed_at < CHANGING else 0

    # ── What went wrong ────────────────────────────────────────────────────────────────────────────

    def _fault(self, error: OSError) -> None:
        """The page's next operation on this socket fails."""
        if isinstance(error, ForbiddenError):
            self._session.refused("connect", error.rule, protocol="udp", message=error.message)
        if self._session.room > 0 and self._faults.allows(time.monotonic()):
            self._session.send(Fault(self.id, *reason(error)))
        else:
            self._drop()

    def _drop(self) -> None:
        self.traffic.dropped += 1
        self._dropped = min(self._dropped + 1, COUNT_MAX)
        if self._telling is None:
            self._telling = self._loop.call_later(QUIET, self._quiet)

    def _quiet(self) -> None:
        self._telling = None
        if self._session.room > 0:
            self._tell_dropped()
        else:
            self._telling = self._loop.call_later(QUIET, self._quiet)

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._session.send(Dropped(self.id, self._dropped))
            self._dropped = 0

    _HANDLERS: ClassVar[dict[type[Frame], Callable[[DatagramSocket, Any], None]]] = {
        Datagram: _send,
        Route: _route,
        Close: _let_go,
        Reset: _let_go,
    }


LINGERING: set[DatagramSocket] = set()
"""Sockets that were closed, and make room for whoever wants their ports."""
