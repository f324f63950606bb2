"""Where TLS ends: in this page, or at the proxy where that was asked for, or is all there is.

The page has one network, and so one answer; it is found when TLS is first used.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pynet_browser.settings import installed
from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls.addresses import is_loopback
from pynet_browser.tls.engine import engine
from pynet_browser.tls.loading import load_engine

if TYPE_CHECKING:
    from pynet_browser.runtime import Network

__all__ = ["at_proxy", "ends_in_page", "found_side", "mount", "network", "settled", "speaks_tls"]

_network: Network | None = None
_found: bool | None = None


def mount(patches: Patches, through: Network) -> None:
    """A network was installed."""
    global _network
    _network = through
    patches.at_undo(_forget)


def _forget() -> None:
    global _network, _found
    _network = _found = None


def network() -> Network:
    """What reaches the proxy."""
    assert _network is not None
    return _network


def found_side() -> str:
    """``page`` or ``proxy``; empty while nobody has used TLS."""
    return {True: "proxy", False: "page", None: ""}[_found]


def at_proxy() -> bool:
    """Whether it ends at the proxy.

    Raises:
        ssl.SSLError: it can end nowhere; the message says what to change.
    """
    if _network is None:
        return False
    if _found is None and installed().tls != "proxy":
        try:
            engine()
        except ssl.SSLError as missing:
            return _find(missing)
    return _find(None)


def speaks_tls() -> bool:
    """Whether sockets can have TLS, wherever it ends."""
    try:
        at_proxy()
    except ssl.SSLError:
        return False
    return True


def ends_in_page() -> bool:
    """Whether sockets can have TLS that nobody on their way can read."""
    return installed().tls != "proxy" and speaks_tls() and not at_proxy()


async def settled() -> bool:
    """The same for code that can wait for OpenSSL to be loaded."""
    if _found is None and installed().tls != "proxy":
        try:
            await load_engine()
        except ssl.SSLError as missing:
            return _find(missing)
    return at_proxy()


def _find(missing: ssl.SSLError | None) -> bool:
    """Decide, given why there is no OpenSSL in the page, or that there is."""
    global _found
    if _found is not None:
        return _found
    options = installed()
    offered = _network is not None and _network.ends_tls
    if options.tls == "proxy" and not offered:
        raise ssl.SSLError(
            ssl.SSLErrorNumber.SSL_ERROR_SSL,
            "install(tls='proxy') wants the proxy to end TLS, which it does not: its operator can start it "
            "with --tls-proxy; install(tls='page') has TLS end in this page",
        )
    if missing and not (
        options.tls == "auto" and offered and is_loopback(urlsplit(options.url).hostname or "")
    ):
        raise missing
    _found = options.tls == "proxy" or missing is not None
    return _found
