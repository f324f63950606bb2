"""A page's UDP socket on the proxy's host."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket as host_socket
import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple

from pynet_browser.proxy import addresses
from pynet_browser.proxy.binding import ANY_ADDRESS, LOOPBACK, bind
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
from pynet_browser.proxy.policy import ANY_PORT
from pynet_browser.wire import (
    Address,
    Associate,
    Associated,
    Bind,
    Bound,
    Buffer,
    Close,
    Datagram,
    Done,
    Dropped,
    Fault,
    Frame,
    Open,
    Option,
    Reset,
)

__all__ = ["DATAGRAM_MAX", "DatagramSocket"]

log = logging.getLogger(__name__)

DATAGRAM_MAX = 65507
"""Most bytes of data in one datagram: what IPv4 has room for behind its header and UDP's."""

DATAGRAMS_AT_ONCE = 64
"""Most datagrams read before others have their turn."""

PEERS_MAX = 1024
"""Peers that a socket remembers: those it sent to or heard last."""

PEER_BYTES = 512
"""What remembering a peer counts for among what is held for its session."""

FAULTS_PER_SECOND = 10
"""Faults that a page is told of, so that many small datagrams are not answered by as many sentences."""

QUIET = 0.1
"""Seconds after which the page is told of what was dropped, if nothing else is sent to it before."""

COUNT_MAX = (1 << 32) - 1


class Peer(NamedTuple):
    """Somebody that a socket exchanges datagrams with.

    Attributes:
        name: as the host's system has it.
        address: as the page has it.
        refusal: why nothing may be sent there; empty if it may.
    """

    name: tuple[Any, ...]
    address: Address
    refusal: str


class DatagramSocket(Endpoint):
    """One UDP socket of a page.

    Nothing waits here: a datagram that cannot be passed on at once is thrown away, and counted.

    Who is heard depends on the port. Where the rules let pages listen it is everybody, or everybody on this
    machine if that is all they allow; elsewhere those to whom the page has sent, as behind a router that
    translates addresses. Whoever was heard may be answered.
    """

    NOUN = "datagram socket"

    def __init__(self, session: EndpointOwner, frame: Open) -> None:
        super().__init__(session, frame.socket, frame.family)
        self._loop = watching_loop()
        self._socket = open_socket(frame.family, host_socket.SOCK_DGRAM)
        self._hears: Literal["unbound", "known", "machine", "everybody"] = "unbound"
        self._peers: dict[tuple[str, int], Peer] = {}
        self._associate: Peer | None = None
        self._faults = Pace(FAULTS_PER_SECOND, FAULTS_PER_SECOND)
        self._dropped = 0
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
    def _local(self) -> Address:
        return wire_address(self._socket.getsockname())

    def _bind(self, address: str, port: int) -> None:
        if self._local.port:
            raise host_error(errno.EINVAL)
        bind(self._socket, self._session.policy, address, port)
        self._know_port()

    def _know_port(self) -> None:
        """It has a port now, which decides who is heard."""
        _, host, port = self._local
        decide = self._session.policy.decide_listen
        if decide("udp", host, port).allowed:
            self._hears = "everybody"
        elif host in LOOPBACK and decide("udp", LOOPBACK[host], port).allowed:
            self._hears = "machine"
        else:
            self._hears = "known"
        log.info("session %s: UDP on %s port %d hears %s", self._session.name, host, port, self._hears)

    def _connect(self, request: Associate, address: str) -> Peer:
        named = addresses.canonical(request.host) if request.host else None
        peer = self._peer(address or ANY_ADDRESS[self._socket.family], request.port, named)
        if peer.refusal:
            raise PermissionError(errno.EACCES, peer.refusal)
        self._socket.connect(peer.name)
        self._associate = peer
        self._know_port()
        return peer

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
            raise PermissionError(errno.EACCES, decision.reason)

    def _let_go(self, _frame: Frame) -> None:
        self.abort()

    def abort(self) -> None:
        """Let go of the port."""
        self._loop.remove_reader(self._socket)
        if self._telling:
            self._telling.cancel()
        self._socket.close()
        self._session.released(PEER_BYTES * len(self._peers))
        self._session.forget(self)

    def go_on(self) -> None:
        """It never waits."""

    # ── Peers ──────────────────────────────────────────────────────────────────────────────────────

    def _peer(self, address: str, port: int, host: str | None = None) -> Peer:
        """A peer that the page has named, perhaps as ``host``.

        Raises:
            OSError: it is no address of this socket's family.
        """
        address = self._canonical(address)
        decision = self._session.policy.decide("udp", host or address, address, port)
        name = (LOOPBACK.get(address, address), port)  # where it will answer from
        return Peer(name, Address(self.family, *name), decision.reason)

    def _canonical(self, address: str) -> str:
        """An address as the system spells it."""
        family = self._socket.family
        try:
            return host_socket.inet_ntop(family, host_socket.inet_pton(family, address))
        except (OSError, ValueError) as error:
            other = addresses.literal(address)
            raise host_error(errno.EAFNOSUPPORT if other else errno.EINVAL) from error

    def _remember(self, peer: Peer) -> Peer:
        """Keep a peer, as the latest, and perhaps forget another."""
        key = peer.name[:2]
        if self._peers.pop(key, None) is None:
            may_hold = self._session.hold(PEER_BYTES)
            if self._peers and (len(self._peers) >= PEERS_MAX or not may_hold):
                del self._peers[next(iter(self._peers))]
                self._session.released(PEER_BYTES)
        self._peers[key] = peer
        return peer

    def _destination(self, address: Address) -> Peer:
        """Where a datagram of the page goes.

        Raises:
            OSError: nowhere.
        """
        if self._associate and address == self._associate.address:
            return self._associate
        known = self._peers.get(address[1:])
        if known is None:  # or it was spelled otherwise
            peer = self._peer(address.host, address.port)
            known = self._peers.get(peer.name[:2], peer)
        self._remember(known)
        if known.refusal:
            raise PermissionError(errno.EACCES, known.refusal)
        return known

    def _source(self, name: tuple[Any, ...]) -> Peer | None:
        """Where a datagram came from, if it may be heard."""
        key = name[:2]
        if self._associate:
            return self._associate if self._associate.name[:2] == key else None
        known = self._peers.get(key)
        if known is None or known.refusal:
            if not self._hears_strangers(name[0]):
                return None
            known = Peer(name, wire_address(name), "")
        return self._remember(known)

    def _hears_strangers(self, host: str) -> bool:
        if self._hears == "machine":
            return addresses.reached(ipaddress.ip_address(host))[0].is_loopback
        return self._hears == "everybody"

    # ── Datagrams ──────────────────────────────────────────────────────────────────────────────────

    def _send(self, frame: Datagram) -> None:
        if not self._session.sent_datagrams.allows(time.monotonic()):
            self._drop()
            return
        try:
            if len(frame.data) > DATAGRAM_MAX:
                raise host_error(errno.EMSGSIZE)
            self._transmit(frame.data, self._destination(frame.address))
        except OSError as error:
            self._fault(error)
        else:
            if self._hears == "unbound":
                self._know_port()

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
        if peer is self._associate:
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
        source = self._source(name)
        if source is None:
            return
        session = self._session
        if size > DATAGRAM_MAX or session.room <= 0 or not session.heard_datagrams.allows(time.monotonic()):
            self._drop()
            return
        self._tell_dropped()
        session.send(Datagram(self.id, source.address, session.scratch[:size]))

    # ── What went wrong ────────────────────────────────────────────────────────────────────────────

    def _fault(self, error: OSError) -> None:
        """The page's next operation on this socket fails."""
        if self._session.room > 0 and self._faults.allows(time.monotonic()):
            self._session.send(Fault(self.id, *reason(error)))
        else:
            self._drop()

    def _drop(self) -> None:
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
        Close: _let_go,
        Reset: _let_go,
    }
