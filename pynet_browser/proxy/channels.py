"""The data channels of all sessions: how many there may be, and what they have in common.

aiortc takes half a second to import, so that happens in a thread, when a page first asks.
"""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pynet_browser.frames import Offer
from pynet_browser.proxy import addresses
from pynet_browser.proxy.config import Config
from pynet_browser.proxy.machine import machine_addresses

if TYPE_CHECKING:
    from pynet_browser.proxy.datachannel import DataChannel
    from pynet_browser.proxy.ice import IceAgent

__all__ = ["OFFERS_AT_ONCE", "OFFERS_PER_SECOND", "Channels"]

OFFERS_PER_SECOND = 0.2
OFFERS_AT_ONCE = 6
"""Of one session: more than a page makes that tries again after failures."""


class Channels:
    """Makes data channels for sessions.

    Attributes:
        offered: whether pages may ask for one.
    """

    def __init__(self, config: Config) -> None:
        self.offered = config.webrtc and importlib.util.find_spec("aiortc") is not None
        self._config = config
        self._starting: asyncio.Task[tuple[Any, Any, IceAgent]] | None = None
        self._channels: set[DataChannel] = set()
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._channels)

    async def make(
        self,
        offer: Offer,
        received: Callable[[bytes], None],
        closed: Callable[[DataChannel], None],
    ) -> DataChannel:
        """Answer a page that asks for a channel; it opens later, or closes.

        Args:
            offer: the page's.
            received: takes each message.
            closed: called once, when the channel is gone.

        Raises:
            OSError: there can be none; with a sentence for people.
        """
        if not self.offered:
            raise OSError(
                errno.EOPNOTSUPP, "this proxy has no WebRTC: it lacks aiortc, or was told --no-webrtc"
            )
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        try:
            kind, certificate, agent = await asyncio.shield(self._starting)
        except OSError:
            self._starting = None  # the port may be free the next time
            raise
        most = self._config.limits.peer_connections
        if len(self._channels) >= most:
            raise BlockingIOError(
                errno.EAGAIN,
                f"the proxy has {most} data channels, the most it allows (limits.peer_connections)",
            )

        def gone(channel: DataChannel) -> None:
            self._channels.discard(channel)
            ending = asyncio.create_task(channel.ended())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            closed(channel)

        channel: DataChannel = kind(agent, certificate, offer, received, gone)
        self._channels.add(channel)
        return channel

    async def close(self) -> None:
        """End them all: the proxy stops."""
        for channel in list(self._channels):
            channel.close()
        if self._ending:
            await asyncio.wait(self._ending)
        if self._starting:
            await asyncio.wait([self._starting])
            if self._starting.exception() is None:
                self._starting.result()[2].close()

    async def _start(self) -> tuple[Any, Any, IceAgent]:
        """The class of channels, the proxy's certificate, and its UDP ports."""
        kind, certificate, agent = await asyncio.to_thread(_load)
        config = self._config
        hosts = await asyncio.to_thread(_hosts, config.host)
        return kind, certificate, agent.open(hosts, config.webrtc_ports, config.webrtc_addresses)


def _load() -> tuple[Any, Any, Any]:
    from pynet_browser.proxy.datachannel import DataChannel, new_certificate
    from pynet_browser.proxy.ice import IceAgent

    return DataChannel, new_certificate(), IceAgent


def _hosts(host: str) -> list[str]:
    """The numeric addresses that a name or an address to listen on stands for."""
    found: dict[str, None] = {}
    for family, _, _, _, where in socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM):
        text = str(where[0])
        address = addresses.literal(text)
        if address and address.is_unspecified:
            found |= dict.fromkeys(sorted(machine_addresses(family)))
        else:
            found[text] = None
    # Loopback means another machine to a page that is on another.
    return [each for each in found if not _is_loopback(each)] or list(found)


def _is_loopback(text: str) -> bool:
    address = addresses.literal(text)
    return address is not None and addresses.kind(address) == "loopback"
