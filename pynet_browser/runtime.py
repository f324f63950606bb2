"""The seam to Pyodide, Python's half: the only module here that imports ``js`` or ``pyodide``.

With ``js/sockfs.js`` it holds all that is known of Pyodide's internals, and says clearly when they are not
what it knows (Pyodide 314.0 or newer).
"""

from __future__ import annotations

import errno
import sys
from importlib import resources
from typing import Any, cast

from pynet_browser.errors import (
    BlockingError,
    NotInBrowserError,
    ProxyError,
    ProxyRefusedError,
    ProxyUnreachableError,
    UnsupportedRuntimeError,
)

__all__ = ["Network", "open_network"]

IN_PAGE = sys.platform == "emscripten"


class Network:
    """What the page's side offers to the standard modules, in Python's types."""

    def __init__(self, js_network: Any) -> None:
        self._js = js_network

    def mount(self) -> None:
        """Put our sockets in place of Emscripten's."""
        self._js.mount()

    def close(self) -> None:
        """Give Emscripten its sockets back and end the session; sockets that are open fail."""
        self._js.close()

    @property
    def suspends(self) -> bool:
        """Whether a blocking call made now could wait."""
        return bool(self._js.suspends)

    def resolve(self, host: str, service: str, family: int) -> dict[str, Any]:
        """Ask the proxy for addresses; waits.

        Args:
            host: a name, or empty.
            service: a service's name, or empty.
            family: 4, 6 or 0 for either.

        Returns:
            ``canonical``, ``port`` and ``addresses`` (each ``family``, ``host``, ``port``), or ``error``
            (an EAI or errno name) and ``message``.

        Raises:
            BlockingError: waiting is impossible here.
        """
        return self._answer("getaddrinfo", self._js.resolve(host, service, family))

    def reverse(self, family: int, host: str, port: int, *, datagram: bool) -> dict[str, Any]:
        """Ask the proxy for the names of an address and a port: ``host`` and ``service``; waits."""
        return self._answer("getnameinfo", self._js.reverse(family, host, port, datagram))

    def describe(self, fd: int) -> tuple[int, int, int] | None:
        """Family, kind and protocol of one of our sockets."""
        described = self._js.describe(fd)
        return cast(tuple[int, int, int], tuple(described)) if described else None

    def connect(self, fd: int, host: str, port: int) -> str:
        """Start to connect; the name of an errno if that is not possible, or nothing."""
        return str(self._js.connect(fd, host, port))

    def addresses(self, fd: int) -> tuple[tuple[str, int], tuple[str, int] | None] | None:
        """This end and the other end of one of our sockets, as far as there are."""
        addresses = self._js.addresses(fd)
        if not addresses:
            return None
        local, peer = addresses.to_py()
        return (local[0], local[1]), (peer[0], peer[1]) if peer else None

    def explain(self, fd: int) -> tuple[str, str] | None:
        """Code and sentence of the last error that the socket reported."""
        explained = self._js.explain(fd)
        return (explained[0], explained[1]) if explained else None

    def peek(self, fd: int, limit: int) -> bytes | None:
        """Bytes that could be read now, left where they are; None where there are none."""
        data = self._js.peek(fd, limit)
        return cast(bytes, data.to_bytes()) if data is not None else None

    def status(self) -> dict[str, Any]:
        """The connection to the proxy and each open socket, as plain values."""
        return cast(dict[str, Any], self._js.status().to_py())

    @staticmethod
    def _answer(call: str, promise: Any) -> dict[str, Any]:
        from pyodide.ffi import can_run_sync, run_sync

        if not can_run_sync():
            raise BlockingError(call)
        return cast(dict[str, Any], run_sync(promise).to_py())


async def open_network(url: str, token: str, agent: str) -> Network:
    """Load the page's side and reach the proxy.

    Raises:
        NotInBrowserError: this Python is not Pyodide.
        UnsupportedRuntimeError: this Pyodide is older than 314.0, or its internals have changed.
        ProxyUnreachableError: nothing answers at ``url``.
        ProxyRefusedError: the proxy refuses the token, this page's origin, or this version.
    """
    if not IN_PAGE:
        raise NotInBrowserError("pynet_browser.install")
    import pyodide_js
    from pyodide.code import run_js
    from pyodide.ffi import JsException, to_js

    exports = run_js(resources.files("pynet_browser").joinpath("pynet.js").read_text("utf-8"))
    module = pyodide_js._module
    missing = exports.missingParts(module).to_py()
    if missing:
        raise UnsupportedRuntimeError(
            "pynet_browser needs Pyodide 314.0 or newer; "
            f"this is {pyodide_js.version}, and it lacks {', '.join(missing)}"
        )
    numbers = {name: value for name, value in vars(errno).items() if name.startswith("E")}
    options = {"url": url, "token": token, "agent": agent, "errno": numbers}
    try:
        return Network(await exports.open(module, to_js(options)))
    except JsException as error:
        raise _refusal(error) from None


def _refusal(error: Any) -> ProxyError:
    """The exception for what ``Connection.open`` rejects with."""
    if getattr(error, "code", "unreachable") == "unreachable":
        return ProxyUnreachableError(errno.ENETUNREACH, str(error.message))
    return ProxyRefusedError(str(error.code), str(error.message))
