"""TLS in asyncio on Pyodide's event loop: ``asyncio.sslproto``, over our contexts.

What needs OpenSSL waits for it here, where a task can: the code beneath could not.
"""

from __future__ import annotations

from asyncio import base_events, selector_events
from collections.abc import Callable
from functools import wraps
from typing import Any

from pynet_browser.stdlib.patches import Patches
from pynet_browser.tls.loading import load_engine

__all__ = ["patch"]

OPENING = (
    "connect_accepted_socket",
    "create_connection",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
)


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
        if kwargs.get("ssl"):
            await load_engine()
        return await method(self, *args, **kwargs)

    return opening


def _starting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def start_tls(self: Any, *args: Any, **kwargs: Any) -> Any:
        await load_engine()
        return await method(self, *args, **kwargs)

    return start_tls
