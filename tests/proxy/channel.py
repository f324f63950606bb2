"""A page's end of a data channel, made of aiortc: what a browser does, for a page in plain Python."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Self

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from pynet_browser.fields import Address, Buffer
from pynet_browser.frames import Answer, Datagram, Offer, Route
from pynet_browser.wire import encode_frame, frames_of
from tests.proxy.client import Page
from tests.proxy.unconnected import PageDatagrams

__all__ = ["PageChannel", "answer_sdp", "offer_of"]


def offer_of(sdp: str) -> Offer:
    """What the proxy is told of an offer."""

    def value(name: str) -> str:
        [found] = re.findall(rf"^a={name}:(.*?)\r?$", sdp, re.MULTILINE)[:1]
        return str(found)

    [fingerprint] = re.findall(r"^a=fingerprint:(sha-256 .*?)\r?$", sdp, re.MULTILINE)[:1]
    return Offer(0, value("ice-ufrag"), value("ice-pwd"), fingerprint, int(value("max-message-size")))


def answer_sdp(answer: Answer, port: int | None = None) -> str:
    """The proxy's answer, as aiortc wants it; with ``port`` another one of loopback in place of its own."""
    places = [("127.0.0.1", port)] if port else [(each.host, each.port) for each in answer.addresses]
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=ice-lite",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        f"a=ice-ufrag:{answer.user}",
        f"a=ice-pwd:{answer.password}",
        f"a=fingerprint:{answer.fingerprint}",
        "a=setup:passive",
        "a=sctp-port:5000",
        f"a=max-message-size:{answer.limit}",
        *(f"a=candidate:1 1 udp 2130706431 {host} {number} typ host" for host, number in places),
        "a=end-of-candidates",
    ]
    return "\r\n".join(lines) + "\r\n"


class PageChannel:
    """The data channel of a page; use it with ``async with``.

    Args:
        page: whose.
        port: of a relay on loopback to go through; None goes straight to the proxy.

    Attributes:
        answer: the proxy's.
        change: what is done to the offer on its way.
    """

    answer: Answer

    def __init__(self, page: Page, port: Callable[[Answer], int] | None = None) -> None:
        self._page = page
        self._port = port
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel: RTCDataChannel = self._connection.createDataChannel(
            "datagrams", negotiated=True, id=0, ordered=False, maxRetransmits=0
        )
        self.opened, self.closed = asyncio.Event(), asyncio.Event()
        self.change: Callable[[Offer], Offer] = lambda offer: offer
        self._sockets: dict[int, PageDatagrams] = {}

    async def __aenter__(self) -> Self:
        self._channel.on("open", self.opened.set)
        self._channel.on("close", self.closed.set)
        self._channel.on("message", self._received)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        answer = await self._page.request(self.change(offer_of(self._connection.localDescription.sdp)))
        assert isinstance(answer, Answer)
        self.answer = answer
        sdp = answer_sdp(answer, self._port(answer) if self._port else None)
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        async with asyncio.timeout(10):
            await self.opened.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    def route(self, socket: PageDatagrams, *, channel: bool = True) -> None:
        """Hear of a socket by the channel, or with the session."""
        self._sockets[socket.id] = socket
        self._page.send(Route(socket.id, int(channel)))

    def send(self, socket: PageDatagrams, data: Buffer, host: str, port: int) -> None:
        """Send a datagram by the channel."""
        self.send_bytes(encode_frame(Datagram(socket.id, Address(socket.family, host, port), data)))

    def send_bytes(self, message: Any) -> None:
        """Send whatever it is."""
        self._channel.send(message)

    def _received(self, message: bytes) -> None:
        [frame] = frames_of(memoryview(message))
        assert isinstance(frame, Datagram)
        self._sockets[frame.socket].by_channel += 1
        self._sockets[frame.socket].receive(frame)
