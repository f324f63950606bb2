"""TLS in asyncio on Pyodide's event loop: ``asyncio.sslproto`` over our contexts, or the proxy's TLS.

What needs OpenSSL waits for it here, where a task can: the code beneath could not.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import base_events, selector_events
from collections.abc import Callable
from functools import wraps
from typing import Any

from pynet_browser.stdlib.failures import failure
from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls.proxied import Agreement, asked
from pynet_browser.tls.side import settled

__all__ = ["patch"]

OPENING = (
    "connect_accepted_socket",
    "create_connection",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
)

HANDSHAKE = 60.0
"""Seconds that a handshake may take, as in asyncio."""


def patch(patches: Patches) -> None:
    """Give the loop what ``loop.py`` has left out."""
    from pyodide.webloop import WebLoop

    patches.set(
        WebLoop, "_make_ssl_transport", vars(selector_events.BaseSelectorEventLoop)["_make_ssl_transport"]
    )
    for name in OPENING:
        patches.set(WebLoop, name, _opening(vars(WebLoop)[name]))
    patches.set(WebLoop, "start_tls", _starting(vars(base_events.BaseEventLoop)["start_tls"]))


def _opening(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def opening(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not kwargs.get("ssl") or not await settled():
            return await method(self, *args, **kwargs)
        if method.__name__ not in ("create_connection", "create_unix_connection"):
            raise _no_server()
        return await _connected(method, self, *args, **kwargs)

    return opening


def _starting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def start_tls(
        self: Any,
        transport: Any,
        protocol: Any,
        sslcontext: Any,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        **timeouts: float | None,
    ) -> Any:
        if not await settled():
            how: dict[str, Any] = {"server_side": server_side, "server_hostname": server_hostname, **timeouts}
            return await method(self, transport, protocol, sslcontext, **how)
        if server_side:
            raise _no_server()
        return await _secured(
            transport, protocol, sslcontext, server_hostname, timeouts.get("ssl_handshake_timeout")
        )

    return start_tls


# ── By the proxy ──────────────────────────────────────────────────────────────────────────────────────


async def _connected(
    method: Callable[..., Any],
    loop: Any,
    factory: Callable[[], Any],
    host: str | None = None,
    *args: Any,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,  # noqa: ARG001 - the end is the proxy's
    **kwargs: Any,
) -> tuple[Any, Any]:
    """A connection first, and then TLS on it."""
    context = kwargs.pop("ssl")
    if server_hostname is None:
        if host is None:
            raise ValueError("You must set server_hostname when using ssl without a host")
        server_hostname = host
    transport, plain = await method(loop, _Between, host, *args, **kwargs)
    plain.check()
    context = ssl.create_default_context() if context is True else context
    protocol = factory()
    await _secured(transport, protocol, context, server_hostname or None, ssl_handshake_timeout)
    protocol.connection_made(transport)
    return transport, protocol


async def _secured(
    transport: Any, protocol: Any, context: Any, hostname: str | None, timeout: float | None
) -> Any:
    """The same transport, which carries what is within TLS."""
    if context.check_hostname and not hostname:
        raise ValueError("check_hostname requires server_hostname")
    name = context._encode_hostname(hostname)
    try:
        between = _Between()
        if transport.get_write_buffer_size():
            between.pause_writing()
        transport.set_protocol(between)
        transport.set_write_buffer_limits(high=0)
        await between.flushed.wait()
        transport.pause_reading()
        between.check()
        descriptor = transport.get_extra_info("socket").fileno()
        answer = await asked(descriptor, context, name, timeout or HANDSHAKE)
        agreement = Agreement.of(answer, context, name)
    except BaseException:
        transport.abort()
        raise
    transport._extra.update(
        sslcontext=context,
        ssl_object=agreement,
        peercert=agreement.getpeercert(),
        cipher=agreement.cipher(),
        compression=None,
    )
    transport.set_write_buffer_limits()
    transport.set_protocol(protocol)
    transport.resume_reading()
    return transport


class _Between(asyncio.Protocol):
    """Has the connection while it is neither plain nor TLS yet.

    Attributes:
        flushed: what was written before has left, or never will.
    """

    def __init__(self) -> None:
        self.flushed = asyncio.Event()
        self.flushed.set()
        self._wrong: Exception | None = None

    def pause_writing(self) -> None:
        self.flushed.clear()

    def resume_writing(self) -> None:
        self.flushed.set()

    def data_received(self, _data: bytes) -> None:
        self._wrong = failure("EPROTO", "data came in plain before TLS had begun")

    def eof_received(self) -> None:
        self._wrong = self._wrong or failure("ECONNRESET")

    def connection_lost(self, exc: Exception | None) -> None:
        self._wrong = self._wrong or exc or failure("ECONNRESET")
        self.flushed.set()

    def check(self) -> None:
        """Raise what has gone wrong."""
        if self._wrong:
            raise self._wrong


def _no_server() -> ssl.SSLError:
    text = "TLS that ends at the proxy cannot have a server's side; install(tls='page') can"
    return ssl.SSLError(ssl.SSLErrorNumber.SSL_ERROR_SSL, text)
