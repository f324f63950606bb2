"""websockify: one WebSocket for each connection, its messages the raw bytes.

noVNC speaks it, and so do the sockets that Emscripten emulates by default. The host is in the path,
``/websockify/{host}/{port}``, or has a name in a file of targets, ``/websockify?token={name}``. With ``udp``
in front of the host each message is a datagram.
"""

from __future__ import annotations

import logging
from pathlib import Path

from aiohttp import web

from pynet_browser.proxy.app import CONFIG
from pynet_browser.proxy.compat import admission
from pynet_browser.proxy.compat.channel import Channel
from pynet_browser.proxy.compat.client import (
    INTERNAL_ERROR,
    NORMAL,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    ClientError,
)
from pynet_browser.proxy.compat.streams import Stream, StreamClient
from pynet_browser.proxy.compat.targets import Target, TargetError, parse_targets, target_of
from pynet_browser.proxy.resolver import DialError
from pynet_browser.proxy.tenants import Tenant

__all__ = ["add_routes", "is_port_message"]

log = logging.getLogger(__name__)

UNSUPPORTED_DATA = 1003
"""What websockify closes with when it is sent text."""

PORT_MESSAGE_SIZE = 10
PORT_MESSAGE_START = b"\xff\xff\xff\xffport"

CLOSE_CODES = {"EACCES": POLICY_VIOLATION, "EMFILE": TRY_AGAIN_LATER, "ENFILE": TRY_AGAIN_LATER}
"""What a stream that has failed is closed with, where it is not ``INTERNAL_ERROR``."""


def is_port_message(message: bytes) -> bool:
    """Whether a first message only tells to which port an emulated datagram socket was bound."""
    return len(message) == PORT_MESSAGE_SIZE and message.startswith(PORT_MESSAGE_START)


def add_routes(app: web.Application) -> None:
    """Serve websockify's clients."""
    app.router.add_get("/websockify", _to_named)
    app.router.add_get("/websockify/", _to_named)
    app.router.add_get("/websockify/{token}", _to_named)
    app.router.add_get("/websockify/{host}/{port}", _to_host)
    app.router.add_get("/websockify/udp/{host}/{port}", _to_datagram_host)


async def _to_named(request: web.Request) -> web.StreamResponse:
    """To a target of the file. ``?token=`` names it, so that the proxy's own token comes otherwise."""
    offers = admission.offers_of(request.headers.getall("Sec-WebSocket-Protocol", ()))
    tenant = admission.check(request, admission.given_token(request, offers, query=False))
    name = request.query.get("token", "")
    target = _targets(request.app[CONFIG].websockify_targets).get(name)
    if target is None:
        raise web.HTTPNotFound(
            text="there is no target of this name; --websockify-targets names a file of them"
        )
    return await _serve(request, offers, target, tenant)


async def _to_host(request: web.Request) -> web.StreamResponse:
    return await _to_given(request, "tcp")


async def _to_datagram_host(request: web.Request) -> web.StreamResponse:
    return await _to_given(request, "udp")


async def _to_given(request: web.Request, protocol: str) -> web.StreamResponse:
    offers = admission.offers_of(request.headers.getall("Sec-WebSocket-Protocol", ()))
    tenant = admission.check(request, admission.given_token(request, offers))
    host, port = request.match_info["host"], request.match_info["port"]
    try:
        target = target_of(f"{protocol}:{host}:{port}")
    except TargetError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return await _serve(request, offers, target, tenant)


def _targets(file: Path | None) -> dict[str, Target]:
    """The targets as the file has them now: it may be added to while the proxy runs."""
    if file is None:
        return {}
    try:
        return parse_targets(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        log.warning("%s: %s", file, error)
        return {}


async def _serve(
    request: web.Request, offers: admission.Offers, target: Target, tenant: Tenant
) -> web.StreamResponse:
    if offers.protocols == ("base64",):
        raise web.HTTPBadRequest(text="base64 is no longer spoken; offer the subprotocol binary, or none")
    channel = await Channel.accept(
        request, "websockify", offers.choose("binary"), request.app[CONFIG].limits.message_bytes
    )
    await WebsockifyClient(request, channel, tenant, target).run()
    return channel.socket


class WebsockifyClient(StreamClient):
    """One WebSocket with one stream."""

    KIND = "websockify"

    def __init__(self, request: web.Request, channel: Channel, tenant: Tenant, target: Target) -> None:
        super().__init__(request, channel, tenant)
        self._target = target

    async def read(self) -> None:
        """Pass on messages until there are no more.

        Raises:
            ClientError: it cannot go on.
        """
        target = self._target
        log.info("%s: to %s", self.name, target)
        try:
            stream = self.open(*target)
        except DialError as error:
            raise ClientError(TRY_AGAIN_LATER, error.message) from error
        first = True
        while (message := await self.channel.receive()) is not None:
            if isinstance(message, str):
                raise ClientError(UNSUPPORTED_DATA, "text messages are not supported")
            if not (self.channel.finished or (first and is_port_message(message))):
                stream.offer(message)
            first = False
            await self.until(lambda: not stream.waiting or target.protocol == "udp")

    def pack(self, _stream: Stream, data: memoryview) -> bytes:
        """The bytes themselves."""
        return bytes(data)

    def opened(self, _stream: Stream) -> None:
        """Of this the client is told nothing."""

    def moved(self, _stream: Stream) -> None:
        """It reads on by itself."""

    def ended(self, _stream: Stream, code: str, message: str) -> None:
        """Close the WebSocket behind what the host has sent."""
        log.info("%s: %s", self.name, message or code or "the host has ended")
        if not code:
            self.channel.finish(NORMAL, "Target closed")
        else:
            self.channel.finish(
                CLOSE_CODES.get(code, INTERNAL_ERROR), f"{code}: {message}" if message else code
            )
