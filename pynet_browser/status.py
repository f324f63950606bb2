"""What ``pynet_browser.status()`` tells, for programs and for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from pynet_browser.stdlib.addresses import AF_UNIX

__all__ = ["SocketStatus", "Status"]


@dataclass(frozen=True, slots=True)
class SocketStatus:
    """One open socket.

    Attributes:
        fd: its file descriptor.
        family: ``AF_INET``, ``AF_INET6`` or ``AF_UNIX``.
        kind: ``stream`` or ``datagram``.
        state: of streams idle, connecting, established, closeWait (the peer has finished sending), finWait
            (we have), finished (both), listening or failed; of datagram sockets open.
        local: its own host and port, at the proxy's end, once it has them; a path and 0 for ``AF_UNIX``,
            where most sockets have no name: an empty one.
        peer: the same of the other end, when connected.
        received: bytes that came in.
        sent: bytes that were given to the proxy.
        queued: bytes that came in and were not read; of a listener, connections that were not accepted.
        dropped: datagrams that were thrown away, by the page or by the proxy.
    """

    fd: int | None
    family: int
    kind: str
    state: str
    local: tuple[str, int] | None
    peer: tuple[str, int] | None
    received: int
    sent: int
    queued: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Status:
    """The network of this page.

    Attributes:
        installed: whether there is one; if not, all else is empty.
        kind: what carries the sockets: ``proxy``, ours; ``wisp`` or ``websockify``, a server that others
            wrote; ``page``, nothing but this page.
        url: the server's address; empty if the page is its own network.
        proxy: what the server calls itself, or what it speaks: ``Wisp 2``.
        state: ``attached``; ``detached`` while a lost connection is being replaced, and where there is none;
            ``closed``; ``local`` without a proxy.
        carrier: ``WebSocket`` or ``HTTP``, what carries the session now; empty while nothing does.
        bulk: what brings much data at once now: ``stream``, a streaming answer beside the WebSocket, or what
            ``carrier`` says.
        why_bulk: a sentence that tells why, where a stream would not do or is not wanted; else empty.
        round_trip: seconds to the proxy and back, as last measured.
        reconnects: how often the connection to the proxy was replaced.
        buffered: bytes that wait to be sent or acknowledged.
        waiting: how a blocking call made where ``status()`` was called would wait: ``jspi``, the interpreter
            is suspended; ``xhr``, by synchronous requests to the proxy; ``none``, it raises
            ``BlockingError``.
        why: a sentence that tells what decides it.
        tls: where TLS ends: ``page``, or ``proxy``, which then reads all that is sent and received; empty
            until it is first used.
        udp: what carries datagrams: ``webrtc``, a data channel; ``session``, the same as all else; empty
            where there is no proxy of ours.
        why_udp: a sentence that tells why it is not a channel, or not yet; else empty.
        sockets: the open sockets, oldest first.
    """

    installed: bool = False
    kind: str = ""
    url: str = ""
    proxy: str = ""
    state: str = "closed"
    carrier: str = ""
    bulk: str = ""
    why_bulk: str = ""
    round_trip: float | None = None
    reconnects: int = 0
    buffered: int = 0
    waiting: str = "none"
    why: str = ""
    tls: str = ""
    udp: str = ""
    why_udp: str = ""
    sockets: Sequence[SocketStatus] = ()

    @classmethod
    def of(cls, reported: dict[str, Any]) -> Status:
        """From what the page's side reports (times in milliseconds)."""
        milliseconds = reported["roundTrip"]
        return cls(
            installed=True,
            kind=reported["kind"],
            url=reported["url"],
            proxy=reported["proxy"],
            state=reported["state"],
            carrier=reported["carrier"],
            bulk="stream" if reported["bulk"] == "streaming" else reported["carrier"],
            why_bulk=reported["whyBulk"],
            round_trip=None if milliseconds is None else milliseconds / 1000,
            reconnects=reported["reconnects"],
            buffered=reported["buffered"],
            waiting=reported["waiting"],
            why=_why(reported),
            tls=reported.get("tls", ""),
            udp=reported.get("udp", ""),
            why_udp=reported.get("whyUdp", ""),
            sockets=tuple(SocketStatus(**{**each, **_pairs(each)}) for each in reported["sockets"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        if not self.installed:
            return "pynet_browser is not installed: await pynet_browser.install(url, token=…)"
        return "\n".join([self._summary(), *("  " + "  ".join(map(str, row)) for row in self._rows())])

    def _repr_html_(self) -> str:
        if not self.installed:
            return f"<p>{escape(str(self))}</p>"
        head = "".join(f"<th>{name}</th>" for name in ("fd", "state", "peer", "received", "sent"))
        rows = (
            "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        return f"<p>{escape(self._summary())}</p><table><tr>{head}</tr>{''.join(rows)}</table>"

    def _summary(self) -> str:
        round_trip = "" if self.round_trip is None else f", round trip {self.round_trip * 1000:.1f} ms"
        sockets = "1 socket" if len(self.sockets) == 1 else f"{len(self.sockets)} sockets"
        carrier = f" over {self.carrier}" if self.carrier else ""
        carrier += " and a stream" if self.bulk == "stream" else ""
        where = f"{self.url} ({self.proxy}): {self.state}{carrier}" if self.url else "within this page"
        tls = "; TLS ends at the proxy: the proxy reads what it carries" if self.tls == "proxy" else ""
        udp = "; datagrams over WebRTC" if self.udp == "webrtc" else ""
        return f"{where}{round_trip}; {sockets}; {self.why}{tls}{udp}"

    def _rows(self) -> list[tuple[object, ...]]:
        return [(each.fd, each.state, _whom(each), each.received, each.sent) for each in self.sockets]


RULED_OUT = {
    "page": "without a proxy",
    "wisp": "with a Wisp server",
    "websockify": "with a websockify",
}
"""What makes synchronous requests impossible, whatever was chosen."""


def _why(reported: dict[str, Any]) -> str:
    """How blocking calls wait, and what decides it."""
    waiting, chosen = reported["waiting"], reported["blocking"]
    if waiting == "jspi":
        return "blocking calls suspend Python (JSPI)"
    if chosen == "xhr":
        reason = 'install(blocking="xhr") asked for it'
    elif not reported["browserSuspends"]:
        reason = "this browser cannot suspend Python (it lacks JSPI)"
    else:
        reason = "Python was entered by runPython or a JavaScript callback, and cannot be suspended here"
    if waiting == "xhr":
        return f"blocking calls wait by synchronous requests: {reason}"
    ruled_out = RULED_OUT.get(reported["kind"], 'by install(blocking="jspi")')
    return f"blocking calls cannot wait here: {reason}, and synchronous requests are impossible {ruled_out}"


def _whom(each: SocketStatus) -> str:
    """Whom a socket talks to, or where it can be found."""
    if each.peer and each.peer[0]:
        return _written(each.peer)
    # Of two that meet at a path only one has a name; of a pair none.
    if each.local and each.local[0]:
        return f"on {_written(each.local)}"
    return "its pair" if each.peer and each.family == AF_UNIX else "–"


def _written(address: tuple[str, int]) -> str:
    """Host and port, or a path: only that has no port. A name that is no file has @ for its NUL."""
    host, port = address
    return f"{host} {port}" if port else host.replace("\0", "@")


def _pairs(reported: dict[str, Any]) -> dict[str, tuple[str, int] | None]:
    """Addresses as Python writes them."""
    return {end: tuple(reported[end]) if reported[end] else None for end in ("local", "peer")}
