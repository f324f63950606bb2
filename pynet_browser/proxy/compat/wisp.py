"""Wisp: many streams over one WebSocket, for the clients of others such as wisp-js, libcurl.js or v86.

Version 2 is spoken with clients that offer a subprotocol, version 1 with all others. In both the address ends
with a slash. Those of version 2 may show the token as a password, too; the user's name does not matter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, ClassVar

from aiohttp import web

from pynet_browser.errors import ProtocolError
from pynet_browser.proxy.app import CONFIG
from pynet_browser.proxy.compat import admission
from pynet_browser.proxy.compat.channel import Channel
from pynet_browser.proxy.compat.client import POLICY_VIOLATION, PROTOCOL_ERROR, TRY_AGAIN_LATER, ClientError
from pynet_browser.proxy.compat.streams import ConnectionStream, Stream, StreamClient
from pynet_browser.proxy.compat.wisp_packets import (
    HEADER,
    Close,
    Connect,
    Continue,
    Credentials,
    Data,
    Extension,
    Info,
    Packet,
    Reason,
    StreamType,
    decode,
    encode,
)
from pynet_browser.proxy.door import GreetingError
from pynet_browser.proxy.policy import Protocol
from pynet_browser.proxy.resolver import DialError
from pynet_browser.proxy.tenants import Tenant

__all__ = ["PACKETS", "STALLED", "add_routes"]

log = logging.getLogger(__name__)

PACKETS = 128
"""Packets of data that a client may send on a stream before it is told to go on; what all servers say."""

WAITING_MAX = 2 * PACKETS
"""Datagrams that wait at most."""

STALLED = 15.0
"""Seconds that a client is held back for what hosts do not take; then the stream with the most of it ends."""

VERSION = 2, 0

REASONS = {
    "EACCES": Reason.BLOCKED,
    "ECONNREFUSED": Reason.REFUSED,
    "ETIMEDOUT": Reason.TIMED_OUT,
    "EMFILE": Reason.THROTTLED,
    "ENFILE": Reason.THROTTLED,
    "ENOBUFS": Reason.THROTTLED,
    "ENETUNREACH": Reason.UNREACHABLE,
    "EHOSTUNREACH": Reason.UNREACHABLE,
    "EADDRNOTAVAIL": Reason.INVALID,
    "EINVAL": Reason.INVALID,
}
"""What errors mean in Wisp, where it is not that the network failed."""


def add_routes(app: web.Application) -> None:
    """Serve clients of Wisp."""
    for path in ("/wisp", "/wisp/", "/wisp/{token}", "/wisp/{token}/"):
        app.router.add_get(path, _handle)


async def _handle(request: web.Request) -> web.StreamResponse:
    offers = admission.offers_of(request.headers.getall("Sec-WebSocket-Protocol", ()))
    token = admission.given_token(request, offers)
    version = 2 if offers.protocols else 1
    by_password = token is None and version == 2 and request.app[CONFIG].wants_token  # noqa: PLR2004
    tenant = admission.check_origin(request) if by_password else admission.check(request, token)
    limit = request.app[CONFIG].limits.message_bytes
    channel = await Channel.accept(request, "wisp", offers.choose(), limit + HEADER.size)
    await WispClient(request, channel, tenant, version, by_password=by_password).run()
    return channel.socket


class WispClient(StreamClient):
    """One client, from its handshake on.

    A client that sends more packets than it was told, to a host that does not take them, loses the stream.
    One that has sent as many bytes as may be held is not read until its hosts have taken some.
    """

    KIND = "wisp"

    def __init__(
        self, request: web.Request, channel: Channel, tenant: Tenant, version: int, *, by_password: bool
    ) -> None:
        super().__init__(request, channel, tenant)
        self._config = request.app[CONFIG]
        self._version = version
        self._by_password = by_password
        self._extensions: set[int] = {Extension.UDP} if version == 1 else set()
        self._numbers: dict[int, Stream] = {}
        self._since: dict[int, int] = {}  # packets that have come since the client was told to go on
        # Packets that may still come: whoever is told to go on may have sent all that it was told before.
        self._invited: dict[int, int] = {}

    async def read(self) -> None:
        """Do what packets ask, until there are no more.

        Raises:
            ClientError: it cannot go on.
        """
        if self._version != 1:
            await self._agree()
        self._push(Continue(0, PACKETS))
        while (message := await self.channel.receive()) is not None:
            if self.channel.finished or isinstance(message, str):  # text means nothing in Wisp
                continue
            try:
                packet = decode(message)
            except ProtocolError as error:
                if len(message) < HEADER.size:
                    raise ClientError(PROTOCOL_ERROR, str(error)) from error
                self._refuse(HEADER.unpack_from(message)[1], Reason.INVALID, str(error))
                continue
            if handler := self._HANDLERS.get(type(packet)):
                handler(self, packet)
            if self._overfull():
                await self._brake()

    def _push(self, packet: Packet) -> None:
        self.channel.push(encode(packet))
        self._account()

    # ── Agreeing ───────────────────────────────────────────────────────────────────────────────────

    async def _agree(self) -> None:
        """Tell what this side can, and hear what the client can."""
        offered = [(Extension.UDP, b""), (Extension.OPEN_CONFIRMATION, b"")]
        if self._by_password:
            offered.insert(1, (Extension.PASSWORD, b"\x01"))
        self._push(Info(*VERSION, tuple(offered)))
        try:
            with self._sessions.unauthenticated(self.visitor):
                async with asyncio.timeout(self._config.auth_timeout):
                    message = await self.channel.receive()
        except GreetingError as error:
            raise ClientError(TRY_AGAIN_LATER, error.message) from error
        except TimeoutError as error:
            raise ClientError(POLICY_VIOLATION, "the client does not say what it can") from error
        if message is None:
            raise ClientError(PROTOCOL_ERROR, "the client has left")
        try:
            packet = decode(message if isinstance(message, bytes) else b"")
            if not isinstance(packet, Info):
                raise ProtocolError("the first packet does not say what the client can")
            if self._by_password:
                self._check_password(Credentials.of(packet.extensions))
        except ProtocolError as error:
            self._push(Close(0, Reason.INVALID))
            raise ClientError(PROTOCOL_ERROR, str(error)) from error
        self._extensions = {id_ for id_, _ in packet.extensions} & {id_ for id_, _ in offered}

    def _check_password(self, given: Credentials | None) -> None:
        if given is None:
            self._push(Close(0, Reason.CREDENTIALS_MISSING))
            raise ClientError(POLICY_VIOLATION, "the proxy wants its token: as a password, or in the address")
        try:
            self.become(self._sessions.door.admit(given.password, self.visitor))
        except GreetingError as error:
            busy = error.code == "busy"
            self._push(Close(0, Reason.THROTTLED if busy else Reason.WRONG_PASSWORD))
            raise ClientError(TRY_AGAIN_LATER if busy else POLICY_VIOLATION, error.message) from error

    # ── What the client says ───────────────────────────────────────────────────────────────────────

    def _connect(self, packet: Connect) -> None:
        if packet.stream == 0:
            raise ClientError(PROTOCOL_ERROR, "stream 0 is the connection itself")
        if packet.stream in self._numbers:
            self._refuse(packet.stream, Reason.INVALID, "a stream of this number is open")
            return
        known = packet.type == StreamType.TCP or (
            packet.type == StreamType.UDP and Extension.UDP in self._extensions
        )
        if not known or not packet.port:
            self._refuse(packet.stream, Reason.INVALID, f"type {packet.type}, port {packet.port}")
            return
        protocol: Protocol = "tcp" if packet.type == StreamType.TCP else "udp"
        try:
            stream = self.open(protocol, packet.host.strip(), packet.port, packet.stream)
        except DialError as error:
            self._refuse(packet.stream, REASONS[error.code], error.message)
        else:
            self._numbers[packet.stream] = stream
            if isinstance(stream, ConnectionStream):
                self._since[packet.stream] = 0
                self._invited[packet.stream] = PACKETS

    def _data(self, packet: Data) -> None:
        stream = self._numbers.get(packet.stream)
        if stream is None:  # it crossed the stream's end on the way
            return
        stream.offer(packet.data)
        if packet.stream not in self._since:
            if len(stream.waiting) > WAITING_MAX:
                self._refuse(packet.stream, Reason.THROTTLED, "more datagrams than its host takes")
            return
        self._since[packet.stream] += 1
        self._invited[packet.stream] -= 1
        if self._invited[packet.stream] < 0:
            self._refuse(packet.stream, Reason.THROTTLED, "more packets than it was told to send")
        else:
            self._go_on_sending(stream)

    def _close(self, packet: Close) -> None:
        if packet.stream == 0:
            raise ClientError(PROTOCOL_ERROR, f"the client has closed the connection ({packet.reason:#x})")
        if stream := self._numbers.get(packet.stream):
            self._forget(packet.stream)
            self.close(stream)

    def _refuse(self, number: int, reason: Reason, why: str) -> None:
        """End a stream, or what would have been one."""
        log.info("%s: stream %d: %s", self.name, number, why)
        stream = self._numbers.get(number)
        self._forget(number)
        if stream:
            self.abort(stream)
        self._push(Close(number, reason))

    def _forget(self, number: int) -> None:
        self._numbers.pop(number, None)
        self._since.pop(number, None)
        self._invited.pop(number, None)

    def _abort_all(self) -> None:
        super()._abort_all()
        self._numbers.clear()

    # ── How much ───────────────────────────────────────────────────────────────────────────────────

    def _overfull(self) -> bool:
        return self._held > self._config.limits.buffered_per_session // 2 or (self.starved and self._held > 0)

    async def _brake(self) -> None:
        """Read nothing more until hosts have taken some; end what keeps the others waiting for too long."""
        while self._overfull() and not (self.channel.finished or self.channel.gone):
            try:
                async with asyncio.timeout(STALLED):
                    await self.until(lambda: not self._overfull())
            except TimeoutError:
                most = max(self._numbers.values(), key=lambda stream: stream.size, default=None)
                if most is None:
                    return
                self._refuse(most.number, Reason.THROTTLED, "its host does not take what the client has sent")

    def _go_on_sending(self, stream: Stream) -> None:
        """Tell a client to go on with a stream, long before it has to stop."""
        waiting = len(stream.waiting)
        if self._since.get(stream.number, 0) >= PACKETS // 4 and waiting < PACKETS // 2:
            self._grant(stream)

    def _grant(self, stream: Stream) -> None:
        credit = max(PACKETS - len(stream.waiting), 0)
        self._since[stream.number] = 0
        self._invited[stream.number] += credit
        self._push(Continue(stream.number, credit))

    # ── What sockets say ───────────────────────────────────────────────────────────────────────────

    def pack(self, stream: Stream, data: memoryview) -> bytes:
        """A packet of data."""
        return encode(Data(stream.number, data))

    def opened(self, stream: Stream) -> None:
        """Confirm it to those who asked for that; datagrams have no credit."""
        if Extension.OPEN_CONFIRMATION in self._extensions and isinstance(stream, ConnectionStream):
            self._grant(stream)

    def moved(self, stream: Stream) -> None:
        """There may be room for more."""
        self._go_on_sending(stream)

    def ended(self, stream: Stream, code: str, message: str) -> None:
        """Say so behind what its host has sent."""
        log.info("%s: stream %d: %s", self.name, stream.number, message or code or "the host has ended")
        self._forget(stream.number)
        default = Reason.UNREACHABLE if code.startswith("EAI_") else Reason.NETWORK_ERROR
        self._push(Close(stream.number, REASONS.get(code, default) if code else Reason.VOLUNTARY))

    _HANDLERS: ClassVar[dict[type[Packet], Callable[[WispClient, Any], None]]] = {
        Connect: _connect,
        Data: _data,
        Close: _close,
    }
