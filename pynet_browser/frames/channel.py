"""Frames about the data channel that carries datagrams. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pynet_browser.fields import ADDRESS, TEXT, U8, U32, Address, ListOf
from pynet_browser.frames.base import Frame, Kind

__all__ = ["Answer", "Offer", "Route"]

_PEER = (("user", TEXT), ("password", TEXT), ("fingerprint", TEXT), ("limit", U32))


@dataclass(frozen=True, slots=True)
class Offer(Frame):
    """Ask for a data channel: how to know the client by ICE and DTLS, and the most bytes of its messages."""

    user: str
    password: str
    fingerprint: str
    limit: int

    KIND = Kind.OFFER
    LAYOUT = _PEER


@dataclass(frozen=True, slots=True)
class Answer(Frame):
    """Answer to ``Offer``: the same of the proxy, and where it expects the client."""

    user: str
    password: str
    fingerprint: str
    limit: int
    addresses: tuple[Address, ...]

    KIND = Kind.ANSWER
    LAYOUT = (*_PEER, ("addresses", ListOf(ADDRESS)))


@dataclass(frozen=True, slots=True)
class Route(Frame):
    """What is heard for this socket may come over the channel (``channel`` 1), or comes with the session."""

    channel: int

    KIND = Kind.ROUTE
    LAYOUT = (("channel", U8),)
