"""Real networking for Python in the browser.

After ::

    import pynet_browser
    await pynet_browser.install("ws://127.0.0.1:8765/pynet", token="…")

the standard ``socket``, ``select`` and all that is built on them reach the network through a proxy.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias, get_args

from pynet_browser.address import Server, server_at
from pynet_browser.diagnosis import Diagnosis, DiagnosisStep
from pynet_browser.errors import (
    BlockingError,
    NotInBrowserError,
    PolicyError,
    ProtocolError,
    ProxyError,
    ProxyRefusedError,
    ProxyUnreachableError,
    PyNetError,
    SlowWaitingWarning,
    UnsupportedRuntimeError,
)
from pynet_browser.runtime import Network, can_suspend, examine, open_network, open_network_sync
from pynet_browser.settings import Options, installed, remember
from pynet_browser.status import SocketStatus, Status
from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls.loading import load_engine, load_engine_sync

__all__ = [
    "BlockingError",
    "Diagnosis",
    "DiagnosisStep",
    "NotInBrowserError",
    "PolicyError",
    "ProtocolError",
    "ProxyError",
    "ProxyRefusedError",
    "ProxyUnreachableError",
    "PyNetError",
    "SlowWaitingWarning",
    "SocketStatus",
    "Status",
    "UnsupportedRuntimeError",
    "diagnose",
    "install",
    "install_sync",
    "status",
    "uninstall",
]

__version__ = "0.1.0"
AGENT = f"pynet-browser/{__version__}"

Blocking: TypeAlias = Literal["auto", "jspi", "xhr"]
Bulk: TypeAlias = Literal["auto", "off"]
Http: TypeAlias = Literal["auto", "browser", "proxy"]
Tls: TypeAlias = Literal["auto", "page", "proxy"]
Udp: TypeAlias = Literal["auto", "stream", "webrtc"]
CHOICES = {"blocking": Blocking, "bulk": Bulk, "http": Http, "tls": Tls, "udp": Udp}
OURS_ALONE = {"blocking": "xhr", "http": "proxy", "tls": "proxy", "udp": "webrtc"}
"""What servers that others wrote cannot do."""

_network: Network | None = None
_patches = Patches()


async def install(
    url: str | None,
    *,
    token: str | None = None,
    blocking: Blocking = "auto",
    bulk: Bulk = "auto",
    http: Http = "auto",
    tls: Tls = "auto",
    udp: Udp = "auto",
) -> None:
    """Give this page's Python a network, through the proxy at ``url``.

    Without a proxy (``install(None)``) the page is a network of its own: its servers and clients meet on
    127.0.0.1 and ::1, by socket pairs and by paths (AF_UNIX). With one, 127.0.0.1 is the proxy's host.

    A server that others wrote will do, too, for what it can: a Wisp server or a websockify. See
    ``docs/servers.md`` for what that is.

    Installing again replaces the connection made before; sockets open until then fail.

    Args:
        url: where the proxy is: ``ws://127.0.0.1:8765/pynet``, or the address it printed when it started,
            ``http://127.0.0.1:8765/?token=…``; None for no proxy. ``wisp://host:port/path/`` (``wisps://`` by
            TLS) is a Wisp server; ``websockify://host:port/path`` (``websockifys://``) a websockify, where
            ``{host}`` and ``{port}`` stand for what is connected to, if the address has a place for them.
        token: the proxy's token, if the address does not hold it; of a Wisp server the password.
        blocking: how blocking calls wait. ``jspi``: the interpreter is suspended, and the page and other
            tasks go on; where that is impossible, such a call raises ``BlockingError``. ``xhr``: by
            synchronous requests to the proxy, during which nothing else happens on this thread. ``auto``:
            the first where it is possible when the call is made, the second elsewhere.
        bulk: how much data comes in. ``auto``: by a streaming answer of the proxy beside the WebSocket, for
            as long as much comes, where that is faster, as in Chromium. ``off``: by the WebSocket, as all
            else. A stream takes one of the six connections that a browser makes to a host by HTTP/1.1.
        http: who makes HTTP requests. ``browser``: the browser, under its rules. ``proxy``: the proxy, with
            every header, and for servers that do not let this page read their answers. ``auto``: the browser
            where it can, the proxy where it cannot and the request does no harm when it is made again.
        tls: where TLS ends; docs/tls.md says which protects against whom. ``page``: in this page, by
            OpenSSL, which is loaded now: the proxy sees ciphertext. ``proxy``: at the proxy, which then reads
            all that is sent and received, and whose operator must have allowed that. ``auto``: in this page,
            by OpenSSL that is loaded when it is first needed; at the proxy, if it cannot be loaded, and the
            proxy is on this machine and offers that.
        udp: how datagrams come and go. ``webrtc``: by a WebRTC data channel to the proxy, which is made when
            the first datagram socket is used: a datagram that is lost on the way is lost, and holds up no
            other. ``stream``: with all else, by the WebSocket. ``auto``: by a channel wherever there can be
            one, and until there is, or where there is none, by the WebSocket; ``status()`` tells which, and
            why. ``webrtc`` does the same, and warns (``RuntimeWarning``) when there is no channel.

    Raises:
        NotInBrowserError: this Python does not run in a page.
        UnsupportedRuntimeError: this Pyodide is older than 314.0.
        ProxyUnreachableError: nothing answers at ``url``.
        ProxyRefusedError: the proxy refuses the token or this page's origin; the message says what to change.
        ValueError: ``url`` is no address of a proxy; another argument is none of what is listed, or asks for
            what only a proxy of ours can do.
        ssl.SSLError: ``tls`` is ``page``, and OpenSSL cannot be loaded; the message says what to load.
        OSError: ``EOPNOTSUPP``: ``udp`` is ``webrtc``, and this page can have no data channel, as in a
            worker, or the proxy offers none; the message says what to change.
    """
    options = _checked(url, token, blocking=blocking, bulk=bulk, http=http, tls=tls, udp=udp)
    if tls == "page":
        await load_engine()
    _mount(await open_network(options, _hint_at(blocking), _warn_of(udp)), options)


def install_sync(
    url: str | None,
    *,
    token: str | None = None,
    blocking: Blocking = "auto",
    bulk: Bulk = "auto",
    http: Http = "auto",
    tls: Tls = "auto",
    udp: Udp = "auto",
) -> None:
    """The same as ``install`` for code that cannot await, such as what ``pyodide.runPython`` runs.

    The proxy is reached by a synchronous request, unless Python can be suspended here. Servers that others
    wrote cannot be: their sockets tell whether they were reached.

    Args:
        url: see ``install``.
        token: see ``install``.
        blocking: see ``install``; what is said there of calls holds of this one.
        bulk: see ``install``.
        http: see ``install``.
        tls: see ``install``.
        udp: see ``install``.

    Raises:
        BlockingError: Python cannot be suspended here, and ``blocking`` is ``jspi``.
        NotInBrowserError: see ``install``, as for the others.
        UnsupportedRuntimeError: this Pyodide is older than 314.0.
        ProxyUnreachableError: nothing answers at ``url``.
        ProxyRefusedError: the proxy refuses the token. Browsers do not tell a page whose origin the proxy
            refuses: that is ``ProxyUnreachableError``.
        ValueError: ``url`` is no address of a proxy; another argument is none of what is listed.
        ssl.SSLError: see ``install``; OpenSSL can be loaded here only where Python can be suspended.
        OSError: see ``install``.
    """
    options = _checked(url, token, blocking=blocking, bulk=bulk, http=http, tls=tls, udp=udp)
    if tls == "page":
        load_engine_sync()
    _mount(open_network_sync(options, _hint_at(blocking), _warn_of(udp)), options)


def _checked(url: str | None, token: str | None, **chosen: str) -> Options:
    """What ``install`` was told.

    Raises:
        ValueError: see there.
    """
    for name, given in chosen.items():
        if given not in (known := get_args(CHOICES[name])):
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {given!r}")
    server = Server("proxy", "") if url is None else server_at(url)
    needing = [f'{name}="{only}"' for name, only in OURS_ALONE.items() if chosen[name] == only]
    if server.kind != "proxy" and needing:
        raise ValueError(f"{needing[0]} needs pynet-browser's own proxy, and {url!r} is none")
    token = server.token if token is None else token
    return Options(server.url, token, AGENT, **chosen, kind=server.kind, user=server.user)


def _hint_at(blocking: str) -> Callable[[], None]:
    """What is called when a call has waited without suspending Python. Who chose that is told nothing."""

    def hint() -> None:
        if blocking == "auto":
            # Called by the page, where nobody could catch it as an error.
            with contextlib.suppress(SlowWaitingWarning):
                warnings.warn(SlowWaitingWarning(), stacklevel=2)

    return hint


def _warn_of(udp: str) -> Callable[[str], None]:
    """What is called when datagrams find no data channel; ``status()`` tells it those who asked for none."""

    def warn(reason: str) -> None:
        if udp == "webrtc":
            message = f"datagrams go by the WebSocket, not by WebRTC: {reason}"
            with contextlib.suppress(RuntimeWarning):  # as above
                warnings.warn(message, RuntimeWarning, stacklevel=2)

    return warn


def _mount(network: Network, chosen: Options) -> None:
    """Have the standard modules use it, in place of another."""
    global _network
    uninstall()
    from pynet_browser.stdlib import (
        datagrams,
        endpoints,
        libraries,
        local,
        loop,
        names,
        options,
        select,
        socket,
        tls,
    )

    _network = network
    remember(chosen)
    network.mount()
    look_ups = names.Names(network)
    names.patch(_patches, look_ups)
    select.patch(_patches)
    for module in (socket, endpoints, datagrams, options, local):
        module.patch(_patches, network)
    loop.patch(_patches, network, look_ups)
    libraries.patch(_patches)
    tls.patch(_patches, network)


def uninstall() -> None:
    """Put everything back as it was before ``install``; sockets that are open fail.

    Without a network there is nothing to do.
    """
    global _network
    if _network is None:
        return
    _patches.undo()
    network, _network = _network, None
    remember(Options())
    network.close()


def status() -> Status:
    """What the network of this page is doing now; printable, and a table in a notebook."""
    if _network is None:
        return Status()
    from pynet_browser.tls.side import found_side

    return Status.of(_network.status() | {"tls": found_side()})


def diagnose(
    url: str | None = None, *, token: str | None = None, host: str | None = None, port: int | None = None
) -> Coroutine[Any, Any, Diagnosis]:
    """Find out step by step what works here, and what to do about what does not.

    ``print(await pynet_browser.diagnose())`` shows it as text, and a notebook as a table. It looks at this
    Python, this browser and this page, reaches the proxy by a WebSocket and by HTTP, greets it, and measures
    round trips, all in a session of its own: a network that is installed is not touched, and none need be.
    How blocking calls wait is told for where ``diagnose()`` was called. All this takes a moment where all is
    well, and some seconds where answers fail to come.

    Args:
        url: where the proxy is, as for ``install``; None for that of the network that is installed.
        token: the proxy's token, if the address does not hold it.
        host: what the proxy is to connect to, by name or address; the connection is closed at once.
        port: its port.

    Returns:
        To be awaited: the diagnosis. What is wrong is said in it, not raised.

    Raises:
        ValueError: ``host`` without ``port`` or the other way round, or a port that is none.
    """
    if (host is None) != (port is None):
        raise ValueError("host and port belong together")
    if port is not None and not 0 < port < 1 << 16:
        raise ValueError(f"{port} is no port")
    return _diagnose(url, token, host or "", port or 0, suspends=can_suspend())


async def _diagnose(url: str | None, token: str | None, host: str, port: int, *, suspends: bool) -> Diagnosis:
    there, options = _network is not None, installed()
    server, blocking = Server(options.kind, options.url, options.token), options.blocking
    invalid = ""
    if url is not None:
        try:
            server = server_at(url)
        except ValueError:
            server, invalid = Server("proxy", ""), url
    address = server.url if server.kind == "proxy" else ""
    blocks = blocking == "xhr" or (blocking == "auto" and not suspends)
    found = server.token if token is None else token
    report = await examine(address, found, AGENT, host, port, blocks=blocks)
    report |= {"address": address, "invalid": invalid, "installed": there, "host": host, "port": port}
    report["kind"] = server.kind
    return Diagnosis.of(report | {"suspends": suspends, "blocking": blocking})
