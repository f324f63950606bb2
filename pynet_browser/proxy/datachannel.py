"""One page's data channel: datagrams over SCTP over DTLS over ICE, each lost or there, none behind another.

The page's SDP is not read: of what it would say only names, a fingerprint and a size travel, in ``Offer``. It
names no addresses, so there are none to send anything to.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import re
from collections.abc import Callable
from typing import Any

from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCSctpTransport,
)
from aiortc.rtcsctptransport import RTCSctpCapabilities

from pynet_browser.frames import Answer, Offer
from pynet_browser.proxy.ice import IceAgent, IcePeer

__all__ = ["MESSAGE_MAX", "DataChannel", "new_certificate"]

MESSAGE_MAX = 65536
"""Most bytes in one message, both ways: nearly all datagrams there are; larger ones go with the session."""

SCTP_PORT = 5000
STREAM = 0
"""Both ends know of the one channel without being told (RFC 8832 is not spoken)."""

SEND_AHEAD = 256 * 1024
"""Bytes that may wait to be sent; with more, datagrams are dropped, as by any host whose line is full."""

OPEN_TIMEOUT = 15.0
"""Seconds from the offer until the channel must be open."""

LOOK = 5.0
"""Seconds between looks at whether the page is still there."""

HELD_MAX = 256 * 1024
"""Bytes of messages that have come in part: of more than one of the largest size at once."""

PIECES_MAX = 1024
"""Pieces of such messages, and those that came ahead of one that is missing."""

_FINGERPRINT = re.compile(r"sha-256 ((?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2})")
_ICE_CHARACTERS = re.compile(r"[A-Za-z0-9+/]{4,256}")

# A page that speaks nonsense ends its own channel, which is nothing that an operator needs to read about.
logging.getLogger("aiortc").setLevel(logging.ERROR)


def new_certificate() -> RTCCertificate:
    """A key and a certificate for all channels of this proxy; pages know it by its fingerprint."""
    return RTCCertificate.generateCertificate()


class DataChannel:
    """A page's data channel, or the attempt to make one.

    Args:
        agent: by which the page will be reached.
        certificate: ours.
        offer: the page's.
        received: takes each message.
        closed: called once, when the channel is gone.

    Raises:
        OSError: ``EINVAL``: the offer makes no sense.
    """

    def __init__(
        self,
        agent: IceAgent,
        certificate: RTCCertificate,
        offer: Offer,
        received: Callable[[bytes], None],
        closed: Callable[[DataChannel], None],
    ) -> None:
        fingerprint = _FINGERPRINT.fullmatch(offer.fingerprint)
        if not fingerprint or not _ICE_CHARACTERS.fullmatch(offer.user):
            raise OSError(errno.EINVAL, "an offer needs a fragment of ICE and a fingerprint by SHA-256")
        self._theirs = RTCDtlsParameters([RTCDtlsFingerprint("sha-256", fingerprint[1])])
        self._limit = min(offer.limit or MESSAGE_MAX, MESSAGE_MAX)
        self._received = received
        self._closed = closed
        self._peer: IcePeer = agent.admit(offer.user)
        transport: Any = self._peer  # which has what DTLS asks of one
        self._dtls = RTCDtlsTransport(transport, [certificate])
        # The side that waits for the other: pages repeat what is lost of their greeting soon.
        self._dtls._set_role("server")
        self._sctp = _BoundedSctp(self._dtls, SCTP_PORT)
        parameters = RTCDataChannelParameters(
            id=STREAM, negotiated=True, ordered=False, maxRetransmits=0, label="datagrams"
        )
        self._channel = RTCDataChannel(self._sctp, parameters)
        self._opened = asyncio.Event()
        self._channel.on("open", self._opened.set)
        self._channel.on("message", self._message)
        self._channel.on("close", self.close)
        [ours] = [each for each in certificate.getFingerprints() if each.algorithm == "sha-256"]
        self.answer = Answer(
            offer.socket,
            self._peer.user,
            self._peer.password,
            f"sha-256 {ours.value}",
            MESSAGE_MAX,
            agent.addresses,
        )
        self._over = False
        self._life = asyncio.create_task(self._live())

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return not self._over and self._channel.readyState == "open" and self._dtls.state == "connected"

    def fits(self, size: int) -> bool:
        """Whether a message may have so many bytes."""
        return size <= self._limit

    def send(self, message: bytes) -> bool:
        """Send a message, which may be lost; false if it was dropped, since too much waits already."""
        if self._channel.bufferedAmount + len(message) > SEND_AHEAD:
            return False
        self._channel.send(message)
        return True

    def close(self) -> None:
        """Let go of it; ``closed`` is called before this returns."""
        if self._over:
            return
        self._over = True
        self._closed(self)
        if asyncio.current_task() is not self._life:
            self._life.cancel()

    async def ended(self) -> None:
        """Wait until everything has been let go of."""
        await asyncio.wait([self._life])

    # ── Within ─────────────────────────────────────────────────────────────────────────────────────

    async def _live(self) -> None:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await self._dtls.start(self._theirs)
                if self._dtls.state != "connected":
                    return
                self._watch_pump()
                await self._sctp.start(RTCSctpCapabilities(self._limit), SCTP_PORT)
                await self._opened.wait()
            while not self._peer.silent:  # noqa: ASYNC110 - silence cannot be waited for
                await asyncio.sleep(LOOK)
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self.close()
            await self._let_go()

    def _watch_pump(self) -> None:
        """What reads the page's packets ends where they make no sense, and when the page says goodbye."""
        pump = self._dtls._task
        assert pump

        def ended(task: asyncio.Future[None]) -> None:
            if not task.cancelled():
                task.exception()  # it was the page's fault, and is no news
            self.close()

        pump.add_done_callback(ended)

    async def _let_go(self) -> None:
        for part in (self._sctp, self._dtls):
            with contextlib.suppress(Exception):  # whatever state the page has left it in
                await part.stop()
        self._peer.close()

    def _message(self, message: bytes | str) -> None:
        if not self._over:
            self._received(message.encode() if isinstance(message, str) else message)


class _BoundedSctp(RTCSctpTransport):
    """SCTP that holds no more for a page than it must: aiortc itself relies on what peers promise."""

    def __init__(self, dtls: RTCDtlsTransport, port: int) -> None:
        super().__init__(dtls, port)
        self._advertised_rwnd = HELD_MAX

    async def _handle_data(self, data: bytes) -> None:
        await super()._handle_data(data)
        streams = self._inbound_streams
        pieces = sum(len(each.reassembly) for each in streams.values()) + len(self._sack_misordered)
        # One channel is all there is: others were never agreed on.
        if (
            self._advertised_rwnd < 0
            or pieces > PIECES_MAX
            or len(streams) > 1
            or len(self._data_channels) > 1
        ):
            raise ConnectionError("the page sends what it must not")
