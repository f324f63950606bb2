"""Everything a run needs, started together: target, bridges, proxy, a browser, and the peers in its pages."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

from playwright.sync_api import Browser, sync_playwright

from bench.peers import (
    Peer,
    PythonSockets,
    RawWebSocket,
    open_our_sockets,
    open_own_sockets,
    open_raw_page,
)
from bench.processes import BareBridge, Proxy, TcpTarget, Websockify
from tests.browser.conftest import QUIET
from tests.machine import find_chromium
from tests.servers import ROOT, ServerError, required


class Stage:
    """Used with ``with``; the peers are there when the block begins, and all is gone when it ends.

    Attributes:
        browser: The one browser.
        proxy: Our proxy.
        peers: All of them; the first is what the others are compared with.
        versions: What was measured.
    """

    browser: Browser
    proxy: Proxy
    peers: list[Peer]
    versions: dict[str, str]

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_again(self) -> dict[str, float]:
        """How many seconds it takes to get our sockets in a new page, whose Pyodide is up."""
        python, times = open_our_sockets(self.browser, self.proxy, wheel_name())
        python.close()
        return times

    def _start(self, stack: ExitStack) -> None:
        target = stack.enter_context(TcpTarget())
        bridge = stack.enter_context(BareBridge())
        websockify = stack.enter_context(Websockify(target))
        self.proxy = stack.enter_context(Proxy())
        chromium = stack.enter_context(sync_playwright()).chromium
        self.browser = chromium.launch(executable_path=required(find_chromium, "chromium"), args=QUIET)
        stack.callback(self.browser.close)

        blank = f"{self.proxy.url}/healthz"  # a page of an origin that serves Pyodide
        raw = open_raw_page(self.browser, blank)
        ours, _ = open_our_sockets(self.browser, self.proxy, wheel_name())
        own = open_own_sockets(self.browser, blank, bridge)
        self.peers = [
            RawWebSocket("bridge", "raw WebSocket, bare bridge", bridge, target, raw),
            PythonSockets("ours", "our Python sockets", self.proxy, target, ours),
            RawWebSocket("websockify", "raw WebSocket, websockify", websockify, target, raw),
            PythonSockets("pyodide", "Pyodide's own sockets", bridge, target, own),
        ]
        self.versions = {
            "Chromium": self.browser.version,
            "Pyodide": ours.page.evaluate("() => pyodide.version"),
        }


def wheel_name() -> str:
    """The wheel that the proxy serves."""
    wheels = sorted((ROOT / "dist").glob("pynet_browser-*.whl"))
    if not wheels:
        raise ServerError("there is no wheel yet; `make wheel` builds it")
    return wheels[-1].name
