"""What sockets of every kind have in common: one face towards their session."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import errno
import os
import socket as host_socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

from pynet_browser.errors import ProtocolError
from pynet_browser.fields import Address
from pynet_browser.frames import Associate, Bind, Frame, Listen, Option
from pynet_browser.proxy.brake import Brake
from pynet_browser.proxy.limits import Pace
from pynet_browser.proxy.policy import Policy
from pynet_browser.proxy.resolver import DialError
from pynet_browser.window import Budget

__all__ = [
    "DatagramChannel",
    "Endpoint",
    "EndpointOwner",
    "Request",
    "Traffic",
    "authority",
    "host_error",
    "leftovers",
    "open_socket",
    "reason",
    "reset_on_close",
    "watching_loop",
    "wire_address",
]

Request: TypeAlias = Bind | Listen | Associate | Option
"""What is asked about one socket."""

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""Value of ``SO_LINGER`` with which closing a connection resets it."""

FAMILIES = {4: host_socket.AF_INET, 6: host_socket.AF_INET6}

ERRNO_NAMES = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP"}
"""On Linux ENOTSUP is the same number, and its name is not one that a page would look for."""


@dataclass(slots=True)
class Traffic:
    """Bytes from hosts, bytes to hosts, and datagrams that were dropped on either way."""

    received: int = 0
    sent: int = 0
    dropped: int = 0

    def add(self, other: Traffic) -> None:
        """The same of another socket."""
        self.received += other.received
        self.sent += other.sent
        self.dropped += other.dropped


class Endpoint(abc.ABC):
    """One socket of a page on the proxy's host.

    Attributes:
        id: its number in the session.
        family: 4 or 6; 0 if it may still be either.
        kind: ``"tcp"``, ``"tls"``, ``"udp"`` or ``"listener"``.
        traffic: what has moved.
        where: what the page calls the other end, or where it listens.
        since: since when it stands; None while it does not.
        ended: errno's name of what ended it; empty if nothing was wrong.
    """

    NOUN: ClassVar[str]
    kind: str
    _HANDLERS: ClassVar[Mapping[type[Frame], Callable[[Any, Any], None]]]

    def __init__(self, session: EndpointOwner, id_: int, family: int) -> None:
        self.id = id_
        self.family = family
        self.traffic = Traffic()
        self.where = ""
        self.since: float | None = None
        self.ended = ""
        self._session = session

    @property
    @abc.abstractmethod
    def state(self) -> str:
        """What it is doing, in one of few words."""

    def stands(self, where: str) -> None:
        """It can be used from now on."""
        self.where = where
        self.since = time.monotonic()

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
        receiving, sending: hold back bytes from hosts, and to them; None where nothing does.
    """

    scratch: memoryview
    sent_datagrams: Pace
    heard_datagrams: Pace
    budget: Budget
    busy: float
    peer_window: int
    receiving: Brake | None
    sending: Brake | None

    @property
    def policy(self) -> Policy:
        """What it may reach, and where it may listen."""

    @property
    def room(self) -> int:
        """Bytes that sockets may still pass on."""

    def send(self, frame: Frame) -> int:
        """Send a frame about a socket or a request; tells the number of its message, 0 where none has one."""

    def datagram_channel(self, size: int, behind: int) -> DatagramChannel | None:
        """What brings a datagram of so many bytes, with its header, apart from all else.

        Not before message ``behind`` has arrived.
        """

    def send_data(self, socket: int, data: memoryview) -> None:
        """Send bytes of a socket; they are copied."""

    async def turn(self, delay: float, timeout: float) -> float:
        """Wait for the turn to connect; returns what is left of ``timeout``."""

    def decided(self, event: str, decision: str, **fields: str | float) -> None:
        """The log is to have it."""

    def failed(self, event: str, error: DialError, **fields: str | float) -> None:
        """It came to nothing; the log is to have it."""

    def refused(self, event: str, rule: str, **fields: str | float) -> None:
        """A rule or a limit refuses; the log is to have it."""

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


def reset_on_close(sock: host_socket.socket) -> None:
    """Have closing a connection reset it."""
    with contextlib.suppress(OSError):
        sock.setsockopt(host_socket.SOL_SOCKET, host_socket.SO_LINGER, RESET_ON_CLOSE)


def leftovers(sock: host_socket.socket, most: int) -> bytes:
    """What a host has sent and nobody has read, as far as it can be had."""
    data = bytearray()
    with contextlib.suppress(OSError), sock.dup() as rest:
        while (size := most - len(data)) > 0 and (piece := rest.recv(size)):
            data += piece
    return bytes(data)


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


def authority(host: str, port: int) -> str:
    """Host and port as an address has them (RFC 3986 §3.2): IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def wire_address(name: tuple[Any, ...]) -> Address:
    """An address of the host as the wire has it; a zone (``fe80::1%eth0``) means nothing to a page."""
    host = str(name[0]).partition("%")[0]
    return Address(6 if ":" in host else 4, host, int(name[1]))
