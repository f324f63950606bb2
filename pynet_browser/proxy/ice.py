"""The proxy's end of ICE, as an agent that only answers (RFC 8445 §2.5, "lite").

It makes no connectivity checks, so that no page can have it send anything to an address of the page's choice:
packets go to where an authenticated check has come from, and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence

from aioice import stun

from pynet_browser.fields import Address
from pynet_browser.proxy.endpoint import open_socket, watching_loop, wire_address

__all__ = ["IceAgent", "IcePeer"]

USER_BYTES = 6
PASSWORD_BYTES = 18
"""Random bytes in a fragment and a password: more than RFC 8445 §5.3 asks for."""

STUN_FIRST_BYTE_MAX = 3
"""What begins with more is DTLS or nonsense (RFC 7983 §7)."""

CONSENT = 30.0
"""Seconds without a check after which the peer is gone (RFC 7675 §5.1)."""

ADDRESSES_MAX = 8
"""Addresses of one peer that are known at once: its interfaces, and those of translators."""

QUEUE_MAX = 512
"""Packets of one peer that wait to be decrypted; more are lost, as they may be anywhere."""

PACKET_MAX = 2048
"""Bytes: packets of DTLS and STUN are smaller than what an Ethernet carries."""

PACKETS_AT_ONCE = 64
"""Most packets read before others have their turn."""

Where = tuple["_Port", tuple[str, int]]
"""By which port of ours an address is spoken to."""


class IcePeer:
    """One page, as ICE knows it; to DTLS the transport under it.

    Attributes:
        user: our fragment of the names in its checks.
        password: what they are authenticated with.
        role: that of an agent which only answers.
    """

    role = "controlled"

    def __init__(self, agent: IceAgent, user: str) -> None:
        self.user = secrets.token_urlsafe(USER_BYTES).replace("-", "+").replace("_", "/")
        self.password = secrets.token_urlsafe(PASSWORD_BYTES).replace("-", "+").replace("_", "/")
        self._agent = agent
        self._peer_user = user
        self._places: list[Where] = []  # the one last heard at the end
        self._chosen: Where | None = None
        self._queue: deque[bytes] = deque(maxlen=QUEUE_MAX)
        self._arrived = asyncio.Event()
        self._closed = False
        self.heard = time.monotonic()

    @property
    def name(self) -> str:
        """The name that its checks must have (RFC 8445 §7.2.2)."""
        return f"{self.user}:{self._peer_user}"

    @property
    def silent(self) -> bool:
        """Whether it has not been heard for so long that nothing may be sent to it."""
        return time.monotonic() - self.heard > CONSENT

    def checked(self, where: Where, *, chosen: bool) -> list[Where]:
        """An authenticated check has come from there; returns the addresses that are known no more."""
        self.heard = time.monotonic()
        if where in self._places:
            self._places.remove(where)
        self._places.append(where)
        if chosen:
            self._chosen = where
        gone, self._places = self._places[:-ADDRESSES_MAX], self._places[-ADDRESSES_MAX:]
        return gone

    def deliver(self, data: bytes) -> None:
        """A packet for DTLS has come."""
        self._queue.append(data)
        self._arrived.set()

    def close(self) -> None:
        """Answer nothing more."""
        self._closed = True
        self._agent.forget(self)
        self._agent.forget_places(self, self._places)
        self._arrived.set()

    # ── What DTLS asks of its transport ────────────────────────────────────────────────────────────

    async def _recv(self) -> bytes:
        while not self._queue:
            if self._closed:
                raise ConnectionError("the peer connection is closed")
            self._arrived.clear()
            await self._arrived.wait()
        return self._queue.popleft()

    async def _send(self, data: bytes) -> None:
        if self._closed or self.silent:
            raise ConnectionError("the peer is gone")
        if self._places:
            port, address = self._chosen or self._places[-1]
            port.send(data, address)


class IceAgent:
    """The proxy's UDP ports for WebRTC, and the pages that are reached by them.

    Attributes:
        addresses: where pages may reach it.
    """

    def __init__(self) -> None:
        self.addresses: tuple[Address, ...] = ()
        self._ports: list[_Port] = []
        self._by_user: dict[str, IcePeer] = {}
        self._by_place: dict[Where, IcePeer] = {}

    @classmethod
    def open(
        cls, hosts: Sequence[str], ports: tuple[int, int] | None, known_as: Sequence[str] = ()
    ) -> IceAgent:
        """Listen on one port of all these addresses, those that this machine does not have left out.

        Args:
            hosts: numeric.
            ports: the lowest and the highest that will do; None is any.
            known_as: addresses that pages are told instead.

        Raises:
            OSError: there is no such port.
        """
        agent = cls()
        failure: OSError = OSError(errno.EADDRNOTAVAIL, "the proxy has no address for WebRTC")
        for port in range(ports[0], ports[1] + 1) if ports else [0]:
            try:
                agent._listen(hosts, port)
            except OSError as error:
                agent.close()
                failure = error
            else:
                number = agent.addresses[0].port
                told = [wire_address((host, number)) for host in known_as]
                agent.addresses = tuple(told) or agent.addresses
                return agent
        raise failure

    def _listen(self, hosts: Sequence[str], port: int) -> None:
        for host in hosts:
            try:
                made = _Port(self, host, port)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    continue
                raise
            self._ports.append(made)
            self.addresses = (*self.addresses, made.address)
            port = made.address.port  # the first chooses, the others follow
        if not self._ports:
            raise OSError(errno.EADDRNOTAVAIL, "the proxy has no address for WebRTC")

    def close(self) -> None:
        """Listen no more."""
        for port in self._ports:
            port.close()
        self._ports, self.addresses = [], ()

    def admit(self, user: str) -> IcePeer:
        """Let one more page in, whose fragment is ``user``."""
        peer = IcePeer(self, user)
        self._by_user[peer.user] = peer
        return peer

    def forget(self, peer: IcePeer) -> None:
        """A page is gone."""
        self._by_user.pop(peer.user, None)

    def received(self, port: _Port, data: bytes, address: tuple[str, int]) -> None:
        """A packet has come from anybody."""
        if not data:
            return
        if data[0] > STUN_FIRST_BYTE_MAX:
            if peer := self._by_place.get((port, address)):
                peer.deliver(data)
            return
        # What is wrong in any way is not answered: an answer would go to whomever the sender claims to be.
        with contextlib.suppress(ValueError, IndexError, struct.error):
            self._check(port, stun.parse_message(data), address)

    def _check(self, port: _Port, message: stun.Message, address: tuple[str, int]) -> None:
        if (message.message_method, message.message_class) != (stun.Method.BINDING, stun.Class.REQUEST):
            return
        name = message.attributes.get("USERNAME", "")
        peer = self._by_user.get(name.partition(":")[0])
        if peer is None or name != peer.name or not message.check_message_integrity(peer.password.encode()):
            return
        where = (port, address)
        gone = peer.checked(where, chosen="USE-CANDIDATE" in message.attributes)
        self._by_place[where] = peer
        self.forget_places(peer, gone)
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = address
        answer.add_message_integrity(peer.password.encode())
        port.send(bytes(answer), address)

    def forget_places(self, peer: IcePeer, places: Sequence[Where]) -> None:
        """A page is no longer at these places."""
        for where in places:
            if self._by_place.get(where) is peer:
                del self._by_place[where]


class _Port:
    """One UDP socket of the agent."""

    def __init__(self, agent: IceAgent, host: str, port: int) -> None:
        self._agent = agent
        self._socket = open_socket(6 if ":" in host else 4, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except BaseException:
            self._socket.close()
            raise
        self._loop = watching_loop()
        self._loop.add_reader(self._socket, self._readable)

    @property
    def address(self) -> Address:
        """Where it listens."""
        return wire_address(self._socket.getsockname())

    def _readable(self) -> None:
        for _ in range(PACKETS_AT_ONCE):
            try:
                data, name = self._socket.recvfrom(PACKET_MAX)
            except OSError:
                return
            self._agent.received(self, data, name[:2])

    def send(self, data: bytes, address: tuple[str, int]) -> None:
        """Send a packet; one that the system does not take is lost."""
        with contextlib.suppress(OSError):
            self._socket.sendto(data, address)

    def close(self) -> None:
        """Listen no more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
