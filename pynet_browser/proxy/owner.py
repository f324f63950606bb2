"""Who has sockets on the proxy's host: how many it may have, how much is held for it, and who must wait."""

from __future__ import annotations

import abc
import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pynet_browser.proxy.audit import Voice
from pynet_browser.proxy.brake import Brake
from pynet_browser.proxy.endpoint import Traffic
from pynet_browser.proxy.limits import Pace, Paces
from pynet_browser.proxy.policy import Policy
from pynet_browser.proxy.resolver import DialError, Resolver

if TYPE_CHECKING:
    from pynet_browser.proxy.door import Visitor
    from pynet_browser.proxy.sessions import Sessions
    from pynet_browser.proxy.tenants import Tenant

__all__ = ["Owned", "Owner"]


class Owned(Protocol):
    """What an owner asks of its sockets.

    Attributes:
        id: its number.
        kind, traffic, where, since, ended: see ``Endpoint``.
    """

    id: int
    kind: str
    traffic: Traffic
    where: str
    since: float | None
    ended: str

    @property
    def state(self) -> str:
        """What it is doing, in one of few words."""

    def go_on(self) -> None:
        """There is room again."""

    def abort(self) -> None:
        """Let go of the host's socket at once, and be forgotten."""


S = TypeVar("S", bound=Owned)


class Owner(abc.ABC, Generic[S]):
    """A session, or a foreign client.

    Attributes:
        name: what it is called in logs.
        visitor: where it was last seen to come from.
        tenant: whose token it has shown.
        voice: how much may be written of it.
        since: since when it exists.
        scratch: where sockets read into; what is read is taken out before another reads.
        connects: how fast it may connect.
        sent_datagrams, heard_datagrams: how fast they may go, each way.
        receiving, sending: hold back bytes from hosts, and to them; None where nothing does.
    """

    receiving: Brake | None
    sending: Brake | None

    def __init__(self, name: str, sessions: Sessions, tenant: Tenant, visitor: Visitor) -> None:
        self.name = name
        self.visitor = visitor
        self.tenant = tenant
        self.voice = Voice()
        self.since = time.monotonic()
        self.scratch = sessions.scratch
        self._sessions = sessions
        self._sockets: dict[int, S] = {}
        self._paused: dict[S, None] = {}  # in the order in which they came
        self._held = 0  # what came from the client and hosts have not taken
        self._accounted = 0
        limits = sessions.config.limits
        self.connects = Pace(limits.connects_per_second, limits.connect_burst)
        self._own_receiving = Pace.of(limits.bytes_per_second, limits.bytes_burst)
        self._own_sending = Pace.of(limits.bytes_per_second, limits.bytes_burst)
        self.bounds_changed()
        self.sent_datagrams = Pace(limits.datagrams_per_second, limits.datagram_burst)
        self.heard_datagrams = Pace(limits.datagrams_per_second, limits.datagram_burst)

    # ── What holds for it ──────────────────────────────────────────────────────────────────────────

    @property
    def policy(self) -> Policy:
        """What it may reach, and where it may listen."""
        return self.tenant.policy

    @property
    def resolver(self) -> Resolver:
        """Looks names up for it."""
        return self.tenant.resolver

    def bounds_changed(self) -> None:
        """How fast it may do things is another."""
        tenant, everybody = self.tenant, self._sessions.everybody
        self._shared_connects = Paces(tenant.connects, everybody.connects)
        received = Paces(self._own_receiving, tenant.receiving, everybody.receiving)
        sent = Paces(self._own_sending, tenant.sending, everybody.sending)
        self.receiving = Brake(received) if received else None
        self.sending = Brake(sent) if sent else None

    async def turn(self, delay: float, timeout: float) -> float:
        """Wait for the turn to connect, which comes in ``delay`` seconds if nobody else connects.

        Returns:
            What is left of ``timeout`` then, in seconds.

        Raises:
            DialError: ``ETIMEDOUT``: nothing is left.
        """
        await asyncio.sleep(min(delay, timeout))
        left = timeout - delay
        if left <= 0:
            message = "the page connects too often (limits.connects_per_second)"
            raise DialError("ETIMEDOUT", message, "limits.connects_per_second")
        # Not before: what one asks for all at once must not stand in the way of the others.
        shared = self._shared_connects.delay(time.monotonic(), left)
        await asyncio.sleep(min(shared, left))
        if shared >= left:
            message = "too many connections are made (limits.connects_per_second_total, or the token's)"
            raise DialError("ETIMEDOUT", message, "limits.connects_per_second_total")
        return left - shared

    @abc.abstractmethod
    def dismiss(self, reason: str) -> None:
        """Its token is valid no more: end, and say why."""

    # ── What is told of it ─────────────────────────────────────────────────────────────────────────

    @property
    def token(self) -> str:
        """The name of its token."""
        return self.tenant.name

    def decided(self, event: str, decision: str, **fields: str | float) -> None:
        """The log is to have it."""
        self._sessions.audit.decided(self, event, decision, **fields)

    def refused(self, event: str, rule: str, **fields: str | float) -> None:
        """A rule or a limit refuses; the log is to have it."""
        self._sessions.audit.refused(self, event, rule, **fields)

    def failed(self, event: str, error: DialError, **fields: str | float) -> None:
        """Something came to nothing, by a rule, a limit or the network."""
        fields |= {"reason": error.code, "message": error.message}
        if error.rule:
            self.refused(event, error.rule, **fields)
        else:
            self.decided(event, "failed", **fields)

    # ── How much ───────────────────────────────────────────────────────────────────────────────────

    @property
    @abc.abstractmethod
    def over(self) -> bool:
        """Whether it has ended, and so holds nothing."""

    @property
    @abc.abstractmethod
    def idle(self) -> bool:
        """Whether nothing would be lost if it ended now."""

    @property
    @abc.abstractmethod
    def buffered(self) -> int:
        """Bytes held for it in all."""

    @property
    @abc.abstractmethod
    def room(self) -> int:
        """Bytes that sockets may still pass on to it."""

    @property
    def starved(self) -> bool:
        """Whether all together hold as much as they may, and this one its share of that.

        One that holds less than its share goes on even then, so that none can starve the others.
        """
        return self._sessions.full and self.buffered > self._sessions.share

    def pause(self, socket: S) -> None:
        """Tell ``socket`` when there is room again."""
        self._paused[socket] = None
        if self.receiving is not None:
            self.receiving.wait(self._try_again)

    def hold(self, size: int) -> bool:
        """Somebody does not take data as fast as it comes; false if no more may be held."""
        self._held += size
        self._account()
        return self.buffered <= self._sessions.config.limits.buffered_per_session and not self.starved

    def released(self, size: int) -> None:
        """What was held has gone out."""
        self._held -= size
        self.taken()

    def taken(self) -> None:
        """Something was taken to be sent, or has arrived: there may be room."""
        self._account()
        self._room_changed()

    def _account(self) -> None:
        buffered = 0 if self.over else self.buffered
        change, self._accounted = buffered - self._accounted, buffered
        if change:
            self._sessions.account(change)

    def _try_again(self) -> None:
        """Bytes may come again, unless others were faster."""
        brake = self.receiving
        owes = brake is not None and not brake.within(1)
        if self._paused and brake is not None and owes:
            brake.wait(self._try_again)
        else:
            self._room_changed()

    def _room_changed(self) -> None:
        if self._paused and self.room > 0:
            self.go_on()

    def go_on(self) -> None:
        """Let the sockets that wait for room try again."""
        sockets, self._paused = self._paused, {}
        for socket in sockets:
            socket.go_on()

    # ── Sockets ────────────────────────────────────────────────────────────────────────────────────

    def socket(self, id_: int) -> S | None:
        """The socket of that id, if there is one."""
        return self._sockets.get(id_)

    def keep(self, socket: S) -> None:
        """There is one socket more; nothing has said that there must not be."""
        self._sockets[socket.id] = socket
        self._sessions.sockets += 1
        self.tenant.sockets += 1

    def forget(self, socket: S) -> None:
        """A socket is closed."""
        if self._sockets.pop(socket.id, None):
            self._sessions.sockets -= 1
            self.tenant.sockets -= 1
            self._sessions.moved(self.tenant, socket.kind).add(socket.traffic)
            self._tell_end(socket)
        self._paused.pop(socket, None)

    def _tell_end(self, socket: S) -> None:
        if socket.since is not None:
            self.decided(
                "close",
                "done",
                protocol=socket.kind,
                target=socket.where,
                reason=socket.ended,
                bytes_received=socket.traffic.received,
                bytes_sent=socket.traffic.sent,
                seconds=round(time.monotonic() - socket.since, 3),
            )

    def __iter__(self) -> Iterator[S]:
        """Its sockets."""
        return iter(self._sockets.values())

    @property
    def refusal(self) -> DialError | None:
        """Why there may be no more sockets now."""
        limits = self._sessions.config.limits
        if len(self._sockets) >= limits.sockets_per_session:
            return self._too_many("EMFILE", len(self._sockets), "sockets_per_session")
        if self._sessions.sockets >= limits.sockets:
            return self._too_many("ENFILE", self._sessions.sockets, "sockets")
        tenant = self.tenant
        if tenant.limits.sockets is not None and tenant.sockets >= tenant.limits.sockets:
            return DialError("ENFILE", tenant.too_many("sockets", tenant.sockets), "tokens.limits.sockets")
        return None

    @staticmethod
    def _too_many(code: str, count: int, limit: str) -> DialError:
        message = f"{count} sockets are open, the most that the proxy allows (limits.{limit})"
        return DialError(code, message, f"limits.{limit}")
