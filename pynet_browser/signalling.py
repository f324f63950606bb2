"""What pages and the proxy agree upon about rooms in which two meet. Pure.

A room is a WebSocket at ``/signal/NAME``, which carries text. What one of the two says, any text, the other
hears behind the word ``message`` and a blank. ``joined`` tells the one who was there first that the other has
come, and ``left`` whoever stays that the other is gone. So it is for whoever hears ``joined`` to begin.
"""

from __future__ import annotations

from typing import Literal, TypeAlias
from urllib.parse import quote, urljoin

__all__ = [
    "NAME_MAX",
    "SUBPROTOCOL",
    "Event",
    "Kind",
    "check_name",
    "decode_event",
    "encode_event",
    "room_url",
]

SUBPROTOCOL = "pynet.signal.v1"

NAME_MAX = 64
"""Characters of a room's name."""

Kind: TypeAlias = Literal["joined", "left", "message"]

Event: TypeAlias = tuple[Kind, str]
"""What is heard, and the text of a message."""


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a room.

    Raises:
        ValueError: it is that.
    """
    # Browsers take "." and ".." for steps in a path, however they are written.
    if not 0 < len(name) <= NAME_MAX or not name.isprintable() or name in (".", ".."):
        raise ValueError(f"a room's name has 1 to {NAME_MAX} printable characters, and is not . or ..")


def room_url(server: str, name: str) -> str:
    """Where a room is at the proxy whose sessions are at ``server``.

    Raises:
        ValueError: that is no name.
    """
    check_name(name)
    return urljoin(server, f"signal/{quote(name, safe='')}")


def encode_event(event: Event) -> str:
    """What the proxy sends."""
    kind, said = event
    return f"message {said}" if kind == "message" else kind


def decode_event(text: str) -> Event:
    """What the proxy has sent.

    Raises:
        ValueError: it is none.
    """
    match text.partition(" "):
        case "message", " ", said:
            return "message", said
        case "joined", "", _:
            return "joined", ""
        case "left", "", _:
            return "left", ""
        case _:
            raise ValueError(f"the proxy says what is no event of a room: {text[:100]!r}")
