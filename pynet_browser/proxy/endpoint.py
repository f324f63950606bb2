"""What sockets of every kind have in common: one face towards their session."""

from __future__ import annotations

import abc
import asyncio
import errno
import os
import socket as host_socket
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeAlias

from pynet_browser.errors import ProtocolError
from pynet_browser.fields import Address
from pynet_browser.frames import Associate, Bind, Frame, Listen, Option
from pynet_browser.proxy.limits import Pace
from pynet_browser.proxy.policy import Policy
from pynet_browser.window import Budget

__all__ = [
    "DatagramChannel",
    "Endpoint",
    "EndpointOwner",
    "Request",
    "host_error",
    "open_socket",
    "reason",
    "watching_loop",
    "wire_address",
]

Request: TypeAlias = Bind | Listen | Associate | Option
"""What is asked about one socket."""

FAMILIES = {4: host_socket.AF_INET, 6: host_socket.AF_INET6}

ERRNO_NAMES = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP"}
"""On Linux ENOTSUP is the same number, and its name is not one that a page would look for."""


class Endpoint(abc.ABC):
    """One socket of a page on the proxy's host.

    Attributes:
        id: its number in the session.
        family: 4 or 6; 0 if it may still be either.
    """

    NOUN: ClassVar[str]
    _HANDLERS: ClassVar[Mapping[type[Frame], Callable[[Any, Any], None]]]

    def __init__(self, session: EndpointOwner, id_: int, family: int) -> None:
        self.id = id_
        self.family = family
        self._session = session

    def receive(self, frame: Frame) -> None:
        """Do what the page asks.

        Raises:
            ProtocolError: it asks what a socket of this kind, or in this state, cannot do.
        """
        handler = self._HANDLERS.get(type(frame))
        if handler is None:
            raise ProtocolError(f"{type(frame).__name__} for socket {self.id}, which is a {self.NOUN}")
        handler(self, frame)

    @abc.abstractmethod
    def answer(self, request: Request, address: str) -> Frame:
        """Do what a request asks, at once.

        Args:
            request: about this socket.
            address: numeric, what its host stands for; empty where there is none.

        Raises:
            OSError: it cannot be done; with a sentence for people.
        """

    @abc.abstractmethod
    def abort(self) -> None:
        """Let go of the host's socket at once, and be forgotten."""

    @abc.abstractmethod
    def go_on(self) -> None:
        """There is room in the session again."""


class DatagramChannel(Protocol):
    """What carries datagrams apart from a session's messages."""

    def send(self, message: bytes) -> bool:
        """Send one; false if it was dropped."""


class EndpointOwner(Protocol):
    """What sockets of every kind ask of whom they belong to: an ``Owner`` that takes frames.

    Attributes:
        budget: what the windows of its sockets may grow by.
        busy: seconds that half a window takes at most where it holds the client back.
        peer_window: credit that the client grants each new socket.
    """

    name: str
    policy: Policy
    scratch: memoryview
    sent_datagrams: Pace
    heard_datagrams: Pace
    budget: Budget
    busy: float
    peer_window: int

    @property
    def room(self) -> int:
        """Bytes that sockets may still pass on."""

    def send(self, frame: Frame) -> None:
        """Send a frame about a socket or a request."""

    def datagram_channel(self, size: int) -> DatagramChannel | None:
        """What brings a datagram of so many bytes, with its header, apart from all else."""

    def send_data(self, socket: int, data: memoryview) -> None:
        """Send bytes of a socket; they are copied."""

    def hold(self, size: int) -> bool:
        """A host does not take data as fast as it comes; false if no more may be held."""

    def released(self, size: int) -> None:
        """What was held has gone out."""

    def pause(self, socket: Endpoint, /) -> None:
        """Tell ``socket`` when there is room again."""

    def forget(self, socket: Endpoint, /) -> None:
        """A socket is closed."""


def open_socket(family: int, kind: host_socket.SocketKind) -> host_socket.socket:
    """A socket of the host that never blocks.

    Raises:
        OSError: there is none to be had.
    """
    if family not in FAMILIES:
        raise host_error(errno.EAFNOSUPPORT)
    opened = host_socket.socket(FAMILIES[family], kind)
    opened.setblocking(False)
    return opened


def watching_loop() -> asyncio.AbstractEventLoop:
    """The event loop that runs, which can tell when a socket is readable.

    Raises:
        OSError: ``EOPNOTSUPP``: it cannot, as Windows' proactor.
    """
    loop = asyncio.get_running_loop()
    if isinstance(loop, getattr(asyncio, "ProactorEventLoop", ())):
        raise OSError(errno.EOPNOTSUPP, "the proxy's event loop has neither datagrams nor listeners")
    return loop


def host_error(number: int) -> OSError:
    """The error that the host itself would raise."""
    return OSError(number, os.strerror(number))


def reason(error: OSError) -> tuple[str, str]:
    """An error as the wire has it: the name of its errno, and a sentence."""
    return ERRNO_NAMES.get(error.errno or 0, "EIO"), error.strerror or str(error)


def wire_address(name: tuple[Any, ...]) -> Address:
    """An address of the host as the wire has it; a zone (``fe80::1%eth0``) means nothing to a page."""
    host = str(name[0]).partition("%")[0]
    return Address(6 if ":" in host else 4, host, int(name[1]))
