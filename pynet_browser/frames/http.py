"""Frames about HTTP requests that the proxy makes for a page. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pynet_browser.fields import TEXT, TEXTS, U16, U32, U64
from pynet_browser.frames.base import Frame, Kind

__all__ = ["Relay", "Request", "Response"]


@dataclass(frozen=True, slots=True)
class Relay(Frame):
    """Stands behind the greeting of a relayed HTTP request, which follows."""

    KIND = Kind.RELAY


@dataclass(frozen=True, slots=True)
class Request(Frame):
    """An HTTP request that the proxy is to make; ``size`` bytes of its body follow the message.

    ``timeout`` is how many ms the proxy waits for something to happen, 0 for its own limit; ``headers`` are
    names and values in turn.
    """

    size: int
    timeout: int
    method: str
    url: str
    headers: tuple[str, ...]

    KIND = Kind.REQUEST
    LAYOUT = (("size", U64), ("timeout", U32), ("method", TEXT), ("url", TEXT), ("headers", TEXTS))


@dataclass(frozen=True, slots=True)
class Response(Frame):
    """What the answer to it began with; its body follows the message, and ends with the HTTP answer."""

    status: int
    reason: str
    headers: tuple[str, ...]

    KIND = Kind.RESPONSE
    LAYOUT = (("status", U16), ("reason", TEXT), ("headers", TEXTS))
