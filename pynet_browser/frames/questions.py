"""Frames that ask and answer: about names, and what a socket is to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pynet_browser.fields import ADDRESS, TEXT, TEXTS, U8, U16, U32, Address, ListOf
from pynet_browser.frames.base import Frame, Kind, Reason

__all__ = [
    "Associate",
    "Associated",
    "Bind",
    "Bound",
    "Done",
    "Failed",
    "Listen",
    "Option",
    "Resolve",
    "Resolved",
    "Reverse",
    "Reversed",
]


@dataclass(frozen=True, slots=True)
class Resolve(Frame):
    """Ask for addresses of ``host`` (may be empty) and the port of ``service`` (may be empty)."""

    family: int
    host: str
    service: str

    KIND = Kind.RESOLVE
    LAYOUT = (("family", U8), ("host", TEXT), ("service", TEXT))


@dataclass(frozen=True, slots=True)
class Resolved(Frame):
    """Answer to ``Resolve``: the canonical name, and each address with the service's port (or 0)."""

    port: int
    canonical: str
    addresses: tuple[Address, ...]

    KIND = Kind.RESOLVED
    LAYOUT = (("port", U16), ("canonical", TEXT), ("addresses", ListOf(ADDRESS)))


@dataclass(frozen=True, slots=True)
class Reverse(Frame):
    """Ask for the name of an address and of a port (``datagram``: 1 for UDP's service names)."""

    address: Address
    datagram: int

    KIND = Kind.REVERSE
    LAYOUT = (("address", ADDRESS), ("datagram", U8))


@dataclass(frozen=True, slots=True)
class Reversed(Frame):
    """Answer to ``Reverse``; a name that is not known is empty."""

    host: str
    service: str

    KIND = Kind.REVERSED
    LAYOUT = (("host", TEXT), ("service", TEXT))


@dataclass(frozen=True, slots=True)
class Failed(Reason):
    """A request (``Resolve``, ``Reverse``) cannot be answered. ``code`` is an errno or EAI name."""

    KIND = Kind.FAILED


@dataclass(frozen=True, slots=True)
class Bind(Frame):
    """Give socket ``target`` an address of the proxy's host; an empty ``host`` is any, port 0 a free one."""

    target: int
    port: int
    host: str

    KIND = Kind.BIND
    LAYOUT = (("target", U32), ("port", U16), ("host", TEXT))


@dataclass(frozen=True, slots=True)
class Bound(Frame):
    """Answer to ``Bind`` and ``Listen``: the address that socket has now."""

    local: Address

    KIND = Kind.BOUND
    LAYOUT = (("local", ADDRESS),)


@dataclass(frozen=True, slots=True)
class Listen(Frame):
    """Let socket ``target`` accept; the client takes in ``backlog`` connections before it grants more."""

    target: int
    backlog: int

    KIND = Kind.LISTEN
    LAYOUT = (("target", U32), ("backlog", U32))


@dataclass(frozen=True, slots=True)
class Associate(Frame):
    """Connect a datagram socket: it hears from this peer alone, and of its refusals."""

    target: int
    port: int
    host: str

    KIND = Kind.ASSOCIATE
    LAYOUT = (("target", U32), ("port", U16), ("host", TEXT))


@dataclass(frozen=True, slots=True)
class Associated(Frame):
    """Answer to ``Associate``: the addresses of both ends."""

    local: Address
    peer: Address

    KIND = Kind.ASSOCIATED
    LAYOUT = (("local", ADDRESS), ("peer", ADDRESS))


@dataclass(frozen=True, slots=True)
class Option(Frame):
    """Set a socket option by its name in C; see docs/protocol.md for the ``values`` of each."""

    target: int
    name: str
    values: tuple[str, ...]

    KIND = Kind.OPTION
    LAYOUT = (("target", U32), ("name", TEXT), ("values", TEXTS))


@dataclass(frozen=True, slots=True)
class Done(Frame):
    """Answer to ``Option``."""

    KIND = Kind.DONE
