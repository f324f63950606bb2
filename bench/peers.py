"""The peers that are measured side by side, each in a page of the same browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from bench.processes import BareBridge, MeasuredProcess, Proxy, TcpTarget, Websockify
from tests.page_python import PagePython

HERE = Path(__file__).resolve().parent

TIMEOUT = 120.0
"""Seconds after which a measurement is given up."""

# A module from a string, so that no server has to serve it.
LOAD_MODULE = """async ([name, source]) => {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    globalThis[name] = await import(url);
    URL.revokeObjectURL(url);
}"""

CALL_RAW = """async ([name, url, options, milliseconds]) => {
    const late = new Promise((_, reject) => {
        setTimeout(() => reject(new Error(`nothing after ${milliseconds} ms`)), milliseconds);
    });
    return Promise.race([rawWebSocket[name](url, options), late]);
}"""

LOAD_MEASURES = """
import pathlib
pathlib.Path("socket_measures.py").write_text(module)
import socket_measures
dir(socket_measures)
"""

CALL_PYTHON = "getattr(socket_measures, name)(tuple(address), **options)"


class UnsupportedError(Exception):
    """The peer has nothing that could be measured so."""


class Peer:
    """Somebody who can be measured.

    Attributes:
        name: Short, for the results.
        title: For people.
        process: What carries its connections.
    """

    def __init__(self, name: str, title: str, process: MeasuredProcess, target: TcpTarget) -> None:
        self.name = name
        self.title = title
        self.process = process
        self._target = target

    def measure(self, what: str, service: str, options: dict[str, Any]) -> float:
        """Seconds that the function ``what`` took with a service of the target.

        Raises:
            UnsupportedError: This peer has no such function.
        """
        raise NotImplementedError


class RawWebSocket(Peer):
    """JavaScript with one WebSocket for each connection."""

    process: BareBridge | Websockify

    def __init__(
        self, name: str, title: str, process: BareBridge | Websockify, target: TcpTarget, page: Page
    ) -> None:
        super().__init__(name, title, process, target)
        self.process = process
        self.page = page
        self._functions: list[str] = page.evaluate("() => Object.keys(rawWebSocket)")

    def measure(self, what: str, service: str, options: dict[str, Any]) -> float:
        if what not in self._functions:
            raise UnsupportedError
        url = self.process.url(self._target.ports[service])
        seconds: float = self.page.evaluate(CALL_RAW, [what, url, options, TIMEOUT * 1000])
        return seconds


class PythonSockets(Peer):
    """Python's socket module."""

    def __init__(
        self, name: str, title: str, process: MeasuredProcess, target: TcpTarget, python: PagePython
    ) -> None:
        super().__init__(name, title, process, target)
        self.python = python
        module = (HERE / "socket_measures.py").read_text()
        self._functions: list[str] = python.run(LOAD_MEASURES, module=module)

    def measure(self, what: str, service: str, options: dict[str, Any]) -> float:
        if what not in self._functions:
            raise UnsupportedError
        address = [self._target.host, self._target.ports[service]]
        seconds: float = self.python.run(
            f"import socket_measures; {CALL_PYTHON}",
            timeout=TIMEOUT,
            name=what,
            address=address,
            options=options,
        )
        return seconds


def open_raw_page(browser: Browser, url: str) -> Page:
    """A page without Python in which the raw WebSocket is measured."""
    page = browser.new_context().new_page()
    page.goto(url)
    page.evaluate(LOAD_MODULE, ["rawWebSocket", (HERE / "raw_websocket.js").read_text()])
    return page


def open_own_sockets(browser: Browser, url: str, bridge: BareBridge) -> PagePython:
    """Python on Pyodide's own socket code, made for Node and here fed by a WebSocket."""
    python = PagePython(browser, url)
    python.page.evaluate(LOAD_MODULE, ["wintertc", (HERE / "wintertc_websocket.js").read_text()])
    python.page.evaluate(
        "bridge => pyodide._api.initializeNodeSockFS(wintertc.connectThrough(bridge))",
        f"ws://{bridge.host}:{bridge.port}",
    )
    return python


def open_our_sockets(browser: Browser, proxy: Proxy, wheel: str) -> tuple[PagePython, dict[str, float]]:
    """Python on our sockets, and how many seconds it took to get them once Pyodide was up."""
    python = PagePython(browser, f"{proxy.url}/healthz")
    times: dict[str, float] = python.run(
        """
        import micropip
        from time import perf_counter
        begin = perf_counter()
        await micropip.install(wheel)
        wheel_installed = perf_counter()
        import pynet_browser
        await pynet_browser.install(url, token=token)
        end = perf_counter()
        {"wheel": wheel_installed - begin, "start": end - wheel_installed}
        """,
        timeout=TIMEOUT,
        wheel=f"{proxy.url}/dist/{wheel}",
        url=proxy.ws_url,
        token=proxy.token,
    )
    return python, times
