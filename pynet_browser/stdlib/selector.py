"""A selector whose descriptors say when they are ready, so that an event loop need not ask."""

from __future__ import annotations

import select
import selectors
from typing import TYPE_CHECKING, Any

from pynet_browser.stdlib.failures import failure

if TYPE_CHECKING:
    from pynet_browser.runtime import Watchlist

__all__ = ["PageSelector"]


class PageSelector(selectors._BaseSelectorImpl):
    """The selector of Pyodide's event loop.

    What ``select`` has returned counts as handled when ``rearm`` is called; what is still ready then wakes
    the loop again, as a selector that is level-triggered would.
    """

    def __init__(self, watchlist: Watchlist) -> None:
        super().__init__()
        self._watchlist = watchlist

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file object; see ``selectors.BaseSelector``.

        Raises:
            PermissionError: it is no socket.
            OSError: EBADF.
        """
        key = super().register(fileobj, events, data)
        refused = self._watchlist.watch(key.fd, _poll_events(events))
        if refused:
            super().unregister(fileobj)
            raise failure(refused)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch it no more."""
        key = super().unregister(fileobj)
        self._watchlist.forget(key.fd)
        return key

    def select(self, timeout: float | None = 0) -> list[tuple[selectors.SelectorKey, int]]:  # noqa: ARG002
        """What is ready now: it never waits, whatever the timeout."""
        ready = []
        keys = self.get_map()
        for fd, events in self._watchlist.take():
            key = keys.get(fd)
            if key:
                ready.append((key, _selector_events(events) & key.events))
        return ready

    def rearm(self) -> None:
        """What was selected has been handled."""
        self._watchlist.rearm()

    def close(self) -> None:
        """Watch nothing any more."""
        self._watchlist.close()
        super().close()


def _poll_events(events: int) -> int:
    return (select.POLLIN if events & selectors.EVENT_READ else 0) | (
        select.POLLOUT if events & selectors.EVENT_WRITE else 0
    )


def _selector_events(events: int) -> int:
    """As ``selectors.PollSelector`` does: an end or an error is both to be read and written."""
    ready = 0
    if events & ~select.POLLIN:
        ready |= selectors.EVENT_WRITE
    if events & ~select.POLLOUT:
        ready |= selectors.EVENT_READ
    return ready
