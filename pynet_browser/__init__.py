"""Real networking for Python in the browser.

After ::

    import pynet_browser
    await pynet_browser.install("ws://127.0.0.1:8765/pynet", token="…")

the standard ``socket``, ``select`` and all that is built on them reach the network through a proxy.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit, urlunsplit

from pynet_browser.errors import (
    BlockingError,
    NotInBrowserError,
    PolicyError,
    ProtocolError,
    ProxyError,
    ProxyRefusedError,
    ProxyUnreachableError,
    PyNetError,
    UnsupportedRuntimeError,
)
from pynet_browser.runtime import Network, open_network
from pynet_browser.status import SocketStatus, Status
from pynet_browser.stdlib.patches import Patches

__all__ = [
    "BlockingError",
    "NotInBrowserError",
    "PolicyError",
    "ProtocolError",
    "ProxyError",
    "ProxyRefusedError",
    "ProxyUnreachableError",
    "PyNetError",
    "SocketStatus",
    "Status",
    "UnsupportedRuntimeError",
    "install",
    "status",
    "uninstall",
]

__version__ = "0.1.0"

SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
SESSION_PATH = "/pynet"

_network: Network | None = None
_patches = Patches()


async def install(url: str | None, *, token: str | None = None) -> None:
    """Give this page's Python a network, through the proxy at ``url``.

    Without a proxy (``install(None)``) the page is a network of its own: its servers and clients meet on
    127.0.0.1 and ::1, by socket pairs and by paths (AF_UNIX). With one, 127.0.0.1 is the proxy's host.

    Installing again replaces the connection made before; sockets open until then fail.

    Args:
        url: where the proxy is: ``ws://127.0.0.1:8765/pynet``, or the address it printed when it started,
            ``http://127.0.0.1:8765/?token=…``; None for no proxy.
        token: the proxy's token, if the address does not hold it.

    Raises:
        NotInBrowserError: this Python does not run in a page.
        UnsupportedRuntimeError: this Pyodide is older than 314.0.
        ProxyUnreachableError: nothing answers at ``url``.
        ProxyRefusedError: the proxy refuses the token or this page's origin; the message says what to change.
        ValueError: ``url`` is no address of a proxy.
    """
    global _network
    address, found = ("", "") if url is None else proxy_address(url)
    network = await open_network(
        address, token if token is not None else found, f"pynet-browser/{__version__}"
    )
    uninstall()
    from pynet_browser.stdlib import datagrams, endpoints, local, loop, names, options, select, socket

    _network = network
    network.mount()
    look_ups = names.Names(network)
    names.patch(_patches, look_ups)
    select.patch(_patches)
    for module in (socket, endpoints, datagrams, options, local):
        module.patch(_patches, network)
    loop.patch(_patches, network, look_ups)


def uninstall() -> None:
    """Put everything back as it was before ``install``; sockets that are open fail.

    Without a network there is nothing to do.
    """
    global _network
    if _network is None:
        return
    _patches.undo()
    network, _network = _network, None
    network.close()


def status() -> Status:
    """What the network of this page is doing now; printable, and a table in a notebook."""
    if _network is None:
        return Status()
    return Status.of(_network.status(), blocking=_network.suspends)


def proxy_address(url: str) -> tuple[str, str]:
    """The WebSocket address of the proxy meant by ``url``, and the token it holds or an empty one.

    Raises:
        ValueError: it is no ws, wss, http or https URL with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.port == 0:  # a port that is none raises too
        raise ValueError(
            f"{url!r} is no address of a proxy; expected something like ws://127.0.0.1:8765/pynet, "
            "or the http:// address that the proxy prints when it starts"
        )
    token = parse_qs(parts.query).get("token", [""])[0]
    path = parts.path if parts.path not in ("", "/") else SESSION_PATH
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, path, "", "")), token
