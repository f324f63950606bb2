"""The states of a page's TCP socket on the proxy's host. Pure."""

from __future__ import annotations

from pynet_browser.errors import ProtocolError

__all__ = ["STATES", "TRANSITIONS", "turned"]

TRANSITIONS: dict[str, dict[str, str]] = {
    "dialing": {"connected": "open", "gone": "closed", "page_closed": "closed"},
    "open": {
        "host_ended": "host_done",
        "page_ended": "page_done",
        "gone": "closed",
        "page_closed": "closing",
    },
    "host_done": {"page_ended": "done", "gone": "closed", "page_closed": "closing"},
    "page_done": {"host_ended": "done", "gone": "closed", "page_closed": "closing"},
    "done": {"gone": "closed", "page_closed": "closing"},
    "closing": {"gone": "closed"},
    "closed": {"gone": "closed"},
}
"""host_done, page_done: that side has sent its FIN; closing: the page let go, data is still going out."""


STATES = {
    "dialing": "connecting",
    "open": "connected",
    "host_done": "half_closed",
    "page_done": "half_closed",
    "done": "closing",
    "closing": "closing",
    "closed": "closing",  # the page has yet to take what came
}
"""What those are called by who looks from outside."""


def turned(state: str, event: str) -> str:
    """The state behind an event.

    Raises:
        ProtocolError: it cannot happen there.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise ProtocolError(f"{event!r} cannot happen to a socket that is {state}") from None
