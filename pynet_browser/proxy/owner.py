"""Who has sockets on the proxy's host: how many it may have, how much is held for it, and who must wait."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pynet_browser.proxy.limits import Pace

if TYPE_CHECKING:
    from pynet_browser.proxy.sessions import Sessions

__all__ = ["Owned", "Owner"]


class Owned(Protocol):
    """What an owner asks of its sockets.

    Attributes:
        id: its number.
    """

    id: int

    def go_on(self) -> None:
        """There is room again."""

    def abort(self) -> None:
        """Let go of the host's socket at once, and be forgotten."""


S = TypeVar("S", bound=Owned)


class Owner(abc.ABC, Generic[S]):
    """A session, or a foreign client.

    Attributes:
        name: what it is called in logs.
        policy: what it may reach, and where it may listen.
        scratch: where sockets read into; what is read is taken out before another reads.
        connects: how fast it may connect.
        sent_datagrams, heard_datagrams: how fast they may go, each way.
    """

    def __init__(self, name: str, sessions: Sessions) -> None:
        self.name = name
        self.policy = sessions.policy
        self.scratch = sessions.scratch
        self._sessions = sessions
        self._sockets: dict[int, S] = {}
        self._paused: set[S] = set()
        self._held = 0  # what came from the client and hosts have not taken
        self._accounted = 0
        limits = sessions.config.limits
        self.connects = Pace(limits.connects_per_second, limits.connect_burst)
        self.sent_datagrams = Pace(limits.datagrams_per_second, limits.datagram_burst)
        self.heard_datagrams = Pace(limits.datagrams_per_second, limits.datagram_burst)

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
        self._paused.add(socket)

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

    def _room_changed(self) -> None:
        if self._paused and self.room > 0:
            self.go_on()

    def go_on(self) -> None:
        """Let the sockets that wait for room try again."""
        sockets, self._paused = self._paused, set()
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

    def forget(self, socket: S) -> None:
        """A socket is closed."""
        if self._sockets.pop(socket.id, None):
            self._sessions.sockets -= 1
        self._paused.discard(socket)

    @property
    def refusal(self) -> tuple[str, str] | None:
        """Why there may be no more sockets now: an errno's name and a sentence."""
        limits = self._sessions.config.limits
        if len(self._sockets) >= limits.sockets_per_session:
            return "EMFILE", self._too_many(len(self._sockets), "sockets_per_session")
        if self._sessions.sockets >= limits.sockets:
            return "ENFILE", self._too_many(self._sessions.sockets, "sockets")
        return None

    @staticmethod
    def _too_many(count: int, limit: str) -> str:
        return f"{count} sockets are open, the most that the proxy allows (limits.{limit})"
