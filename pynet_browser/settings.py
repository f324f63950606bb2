"""How this page's network was installed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pynet_browser.address import Kind

__all__ = ["Options", "installed", "remember"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a page wants its network; see ``pynet_browser.install``.

    Attributes:
        url: of the server's WebSocket; empty for none: the page is its own network.
        token: the server's.
        agent: what this page calls itself.
        blocking: ``auto``, ``jspi`` or ``xhr``.
        bulk: ``auto`` or ``off``.
        http: ``auto``, ``browser`` or ``proxy``.
        tls: ``auto``, ``page`` or ``proxy``.
        udp: ``auto``, ``stream`` or ``webrtc``.
        kind: ``proxy``, ours; ``wisp`` or ``websockify``.
        user: for a Wisp server that asks who it is.
    """

    url: str = ""
    token: str = ""
    agent: str = ""
    blocking: str = "auto"
    bulk: str = "auto"
    http: str = "auto"
    tls: str = "auto"
    udp: str = "auto"
    kind: Kind = "proxy"
    user: str = ""

    @property
    def relays(self) -> bool:
        """Whether there is a proxy that makes requests for the page."""
        return bool(self.url) and self.kind == "proxy"


_installed = Options()


def installed() -> Options:
    """What holds now; the defaults where there is no network."""
    return _installed


def remember(options: Options) -> None:
    """This holds from now on."""
    global _installed
    _installed = options
