"""What a page asks and is answered once: about names, and about what its sockets shall be."""

from __future__ import annotations

import asyncio
import errno
import weakref
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from pynet_browser.fields import Address
from pynet_browser.frames import (
    Associate,
    Bind,
    Failed,
    Frame,
    Offer,
    Resolve,
    Resolved,
    Reverse,
    Reversed,
    StartTls,
)
from pynet_browser.proxy import addresses
from pynet_browser.proxy.addresses import InvalidHostError
from pynet_browser.proxy.endpoint import Request, authority, host_error, reason
from pynet_browser.proxy.policy import ForbiddenError
from pynet_browser.proxy.resolver import DialError
from pynet_browser.proxy.secured import TlsSocket

if TYPE_CHECKING:
    from pynet_browser.proxy.session import Session

__all__ = ["Requests"]

LOCALHOST = {4: "127.0.0.1", 6: "::1"}
"""What is bound to as ``localhost``, whatever the policy reveals of the name (RFC 6761 §6.3)."""


class Requests:
    """The requests of one session.

    Those about one socket are answered in the order in which they came. What needs no look-up and has nothing
    to wait for is answered at once.

    Args:
        session: whose they are.
        limit: how many may wait for an answer.
    """

    def __init__(self, session: Session, limit: int) -> None:
        self._session: Session = weakref.proxy(session)  # which has this: no collector is needed
        self._limit = limit
        self._waiting: set[asyncio.Task[None]] = set()
        self._last: dict[int, asyncio.Task[None]] = {}  # of those that wait about one socket

    def __len__(self) -> int:
        """How many wait for an answer."""
        return len(self._waiting)

    def ask(self, frame: Resolve | Reverse) -> None:
        """Answer what is about names."""
        if self._may_wait(frame, "EAI_AGAIN"):
            self._start(self._answer(frame))

    def ask_socket(self, request: Request) -> None:
        """Answer what is about one socket."""
        before = self._last.get(request.target)
        address = self._known_address(request)
        if before is None and address is not None:
            self._session.send(self._done(request, address))
        elif self._may_wait(request, "EAGAIN"):
            self._last[request.target] = self._start(self._answer_in_turn(request, address, before))

    def secure(self, request: StartTls, longest: float) -> None:
        """Have TLS spoken on a connection, for which the handshake may take so many seconds."""
        socket = self._session.socket(request.target)
        if not isinstance(socket, TlsSocket):
            self._session.send(Failed(request.socket, "EBADF" if socket is None else "EOPNOTSUPP", ""))
        elif self._may_wait(request, "EAGAIN"):
            try:
                socket.turn_to_tls()  # before what comes next is looked at
            except OSError as error:
                self._session.send(Failed(request.socket, *reason(error)))
            else:
                self._start(socket.secure(request, longest))

    def offer(self, offer: Offer) -> None:
        """Let the page have a data channel, if it can be had."""
        if self._may_wait(offer, "EAGAIN"):
            self._start(self._answer_offer(offer))

    def cancel(self) -> None:
        """Answer nothing more."""
        for task in self._waiting:
            task.cancel()

    def _may_wait(self, frame: Frame, refusal: str) -> bool:
        if len(self._waiting) < self._limit:
            return True
        message = "too many names are being resolved for this page"
        self._session.refused("resolve", "limits.resolves_per_session", message=message)
        self._session.send(Failed(frame.socket, refusal, message))
        return False

    def _start(self, answering: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(answering)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

    # ── Names ──────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, frame: Resolve | Reverse) -> None:
        try:
            self._session.send(await self._resolved(frame))
        except DialError as error:
            if error.rule:
                host = frame.host if isinstance(frame, Resolve) else frame.address.host
                self._session.failed("resolve", error, target=host)
            self._session.send(Failed(frame.socket, error.code, error.message))

    async def _answer_offer(self, offer: Offer) -> None:
        try:
            self._session.send(await self._session.open_channel(offer))
        except OSError as error:
            self._session.send(Failed(offer.socket, *reason(error)))

    async def _resolved(self, frame: Resolve | Reverse) -> Frame:
        if isinstance(frame, Reverse):
            host, service = await self._session.resolver.reverse(
                frame.address.host, frame.address.port, datagram=bool(frame.datagram)
            )
            return Reversed(frame.socket, host, service)
        port = await self._session.resolver.service_port(frame.service) if frame.service else 0
        if not frame.host:
            return Resolved(frame.socket, port, "", ())
        found = await self._session.resolver.resolve(frame.host, frame.family)
        return Resolved(frame.socket, port, found.canonical, _addresses(found.addresses, port))

    # ── Sockets ────────────────────────────────────────────────────────────────────────────────────

    async def _answer_in_turn(
        self, request: Request, address: str | None, before: asyncio.Task[None] | None
    ) -> None:
        try:
            if before:
                await asyncio.wait([before])
            if address is None:
                address = await self._look_up(request)
            self._session.send(self._done(request, address))
        except DialError as error:
            if error.rule:
                self._session.failed("connect", error, **_target(request))
            self._session.send(Failed(request.socket, error.code, error.message))
        finally:
            if self._last.get(request.target) is asyncio.current_task():
                del self._last[request.target]

    def _done(self, request: Request, address: str) -> Frame:
        """Have a socket do what is asked of it."""
        try:
            socket = self._session.socket(request.target)
            if socket is None:
                raise host_error(errno.EBADF)
            numeric = addresses.literal(address)
            if numeric and socket.family not in (0, numeric.version):
                raise host_error(errno.EAFNOSUPPORT)
            return socket.answer(request, address)
        except OSError as error:
            if isinstance(error, ForbiddenError):
                event = "connect" if isinstance(request, Associate) else "listen"
                self._session.refused(event, error.rule, message=error.message, **_target(request))
            return Failed(request.socket, *reason(error))

    def _known_address(self, request: Request) -> str | None:
        """What needs no look-up: the numeric address that a host stands for, empty for no host."""
        socket = self._session.socket(request.target)
        if socket is None or not isinstance(request, Bind | Associate) or not request.host:
            return ""
        try:
            host = addresses.canonical(request.host)
        except InvalidHostError:
            return None  # looking it up says what is wrong
        if addresses.literal(host):
            return host
        if host == "localhost" and isinstance(request, Bind):
            return LOCALHOST.get(socket.family)
        return None

    async def _look_up(self, request: Request) -> str:
        assert isinstance(request, Bind | Associate)
        socket = self._session.socket(request.target)
        family = socket.family if socket else 0
        if isinstance(request, Associate):
            return await self._session.resolver.destination("udp", request.host, request.port, family)
        return (await self._session.resolver.resolve(request.host, family)).addresses[0]


def _target(request: Request) -> dict[str, str]:
    """What a request is about, for the log."""
    if not isinstance(request, Bind | Associate):
        return {}
    return {"target": authority(request.host, request.port)}


def _addresses(hosts: Sequence[str], port: int) -> tuple[Address, ...]:
    return tuple(Address(6 if ":" in host else 4, host.partition("%")[0], port) for host in hosts)
