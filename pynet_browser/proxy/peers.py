"""With whom a UDP socket exchanges datagrams: whom it may send to, and whom it hears."""

from __future__ import annotations

import errno
import ipaddress
import socket as host_socket
from typing import Any, Literal, NamedTuple, Protocol

from pynet_browser.fields import Address
from pynet_browser.proxy import addresses
from pynet_browser.proxy.binding import LOOPBACK
from pynet_browser.proxy.endpoint import authority, host_error, wire_address
from pynet_browser.proxy.policy import Decision, ForbiddenError, Policy

__all__ = ["PEER_BYTES", "Peer", "Peers"]

PEERS_MAX = 1024
"""Peers that a socket remembers: those it sent to or heard last."""

PEER_BYTES = 512
"""What remembering a peer counts for among what is held for its session."""


class Peer(NamedTuple):
    """Somebody that a socket exchanges datagrams with.

    Attributes:
        name: as the host's system has it.
        address: as the page has it.
        refusal: why nothing may be sent there; None if it may.
    """

    name: tuple[Any, ...]
    address: Address
    refusal: Decision | None


class PeersOwner(Protocol):
    """What is asked of whom the socket belongs to."""

    @property
    def policy(self) -> Policy:
        """What may be reached, and where pages may listen."""

    def decided(self, event: str, decision: str, **fields: str | float) -> None:
        """The log is to have it."""

    def hold(self, size: int) -> bool:
        """More is remembered; false if no more may be held."""

    def released(self, size: int) -> None:
        """What was held is forgotten."""


class Peers:
    """The peers of one socket.

    Who is heard depends on the port. Where the rules let pages listen it is everybody, or everybody on this
    machine if that is all they allow; elsewhere those to whom something was sent, as behind a router that
    translates addresses. Whoever was heard may be answered.

    Args:
        owner: whose socket it is.
        socket: it.

    Attributes:
        associate: the one peer that it was connected to.
    """

    def __init__(self, owner: PeersOwner, socket: host_socket.socket) -> None:
        self._owner = owner
        self._socket = socket
        self._hears: Literal["unbound", "known", "machine", "everybody"] = "unbound"
        self._peers: dict[tuple[str, int], Peer] = {}
        self.associate: Peer | None = None

    def know_port(self) -> None:
        """It has a port now, which decides who is heard."""
        _, host, port = wire_address(self._socket.getsockname())
        decide = self._owner.policy.decide_listen
        if decide("udp", host, port).allowed:
            self._hears = "everybody"
        elif host in LOOPBACK and decide("udp", LOOPBACK[host], port).allowed:
            self._hears = "machine"
        else:
            self._hears = "known"

    def sent(self) -> None:
        """Something was sent, which gives a socket a port."""
        if self._hears == "unbound":
            self.know_port()

    def forget(self) -> None:
        """Remember nobody."""
        self._owner.released(PEER_BYTES * len(self._peers))
        self._peers.clear()

    def connect(self, address: str, port: int, host: str | None = None) -> Peer:
        """Connect the socket to a peer that was named, perhaps as ``host``.

        Raises:
            OSError: it may not be.
        """
        peer = self.peer(address, port, host)
        if peer.refusal:
            raise ForbiddenError(peer.refusal)
        self._socket.connect(peer.name)
        self._tell_of(peer)
        self.associate = peer
        self.know_port()
        return peer

    def _tell_of(self, peer: Peer) -> None:
        if not peer.refusal:
            where = authority(*peer.name[:2])
            self._owner.decided("connect", "allowed", protocol="udp", address=where)

    def peer(self, address: str, port: int, host: str | None = None) -> Peer:
        """A peer that the page has named, perhaps as ``host``.

        Raises:
            OSError: it is no address of this socket's family.
        """
        address = self._canonical(address)
        decision = self._owner.policy.decide("udp", host or address, address, port)
        name = (LOOPBACK.get(address, address), port)  # where it will answer from
        return Peer(name, wire_address(name), None if decision.allowed else decision)

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
            may_hold = self._owner.hold(PEER_BYTES)
            if self._peers and (len(self._peers) >= PEERS_MAX or not may_hold):
                del self._peers[next(iter(self._peers))]
                self._owner.released(PEER_BYTES)
        self._peers[key] = peer
        return peer

    def destination(self, address: Address) -> Peer:
        """Where a datagram of the page goes.

        Raises:
            OSError: nowhere.
        """
        if self.associate and address == self.associate.address:
            return self.associate
        known = self._peers.get(address[1:])
        if known is None:  # or it was spelled otherwise
            peer = self.peer(address.host, address.port)
            known = self._peers.get(peer.name[:2])
            if known is None:
                known = peer
                self._tell_of(peer)
        self._remember(known)
        if known.refusal:
            raise ForbiddenError(known.refusal)
        return known

    def source(self, name: tuple[Any, ...]) -> Peer | None:
        """Where a datagram came from, if it may be heard."""
        key = name[:2]
        if self.associate:
            return self.associate if self.associate.name[:2] == key else None
        known = self._peers.get(key)
        if known is None or known.refusal:
            if not self._hears_strangers(name[0]):
                return None
            known = Peer(name, wire_address(name), None)
        return self._remember(known)

    def _hears_strangers(self, host: str) -> bool:
        if self._hears == "machine":
            return addresses.reached(ipaddress.ip_address(host))[0].is_loopback
        return self._hears == "everybody"
