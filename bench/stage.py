"""Everything a run needs, started together: services, bridges, proxy, a browser, the peers in its pages."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

from bench.memory import memory_of_streams
from bench.peers import (
    HTTP,
    POSIX,
    SOCKETS,
    WEBRTC,
    BareRequest,
    JavaScript,
    Peer,
    PythonSockets,
    install_ours,
    load_modules,
    open_our_sockets,
    open_own_sockets,
    open_raw_page,
)
from bench.processes import (
    BareBridge,
    BareStream,
    Direct,
    Proxy,
    Services,
    Websockify,
    WispServer,
    allow_descriptors,
)
from bench.resuming import resuming
from tests.driven import DrivenBrowser
from tests.host_python import HostPython
from tests.machine import find_firefox
from tests.page_python import PagePython
from tests.servers import ROOT, ServerError


class Stage:
    """Used with ``with``; the peers are there when the block begins, and all is gone when it ends.

    Attributes:
        browser: The one in which all but Firefox's are measured.
        proxy: Our proxy.
        peers: All of them; the first is what the others are compared with, and the last shows what the
            system itself does where no page has anything like it.
        versions: What was measured.
    """

    browser: DrivenBrowser
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

    def memory(self, count: int) -> dict[str, float]:
        """Bytes for each of so many asyncio streams, by whose they are."""
        return memory_of_streams(self.browser, self._services, wheel_name(), count)

    def resuming(self) -> float:
        """Round trips from a cut until the first byte after it."""
        return resuming(self.browser, self.proxy, wheel_name())

    def _start(self, stack: ExitStack) -> None:
        allow_descriptors()
        services = self._services = stack.enter_context(Services())
        bridge = stack.enter_context(BareBridge())
        stream = stack.enter_context(BareStream())
        wisp = stack.enter_context(WispServer())
        websockify = stack.enter_context(Websockify(services))
        self.proxy = stack.enter_context(Proxy())
        self.browser = stack.enter_context(DrivenBrowser("Chromium"))

        blank = f"{self.proxy.url}/healthz"  # a page of an origin that serves Pyodide
        raw = open_raw_page(self.browser, blank)
        ours, _ = open_our_sockets(self.browser, self.proxy, wheel_name())
        blocking, _ = open_our_sockets(self.browser, self.proxy, wheel_name(), blocking="xhr")
        ours.run("import micropip; await micropip.install('requests')", timeout=60)
        load_modules(ours)  # the far end of data channels
        own = open_own_sockets(self.browser, blank, bridge)
        self.peers = [
            JavaScript("bridge", "raw WebSocket, bare bridge", bridge, services, raw, module="rawWebSocket"),
            PythonSockets(
                "ours",
                "our Python sockets",
                self.proxy,
                services,
                ours,
                modules=[SOCKETS, POSIX, HTTP, WEBRTC],
            ),
            PythonSockets(
                "xhr", "ours, by synchronous requests", self.proxy, services, blocking, modules=[SOCKETS]
            ),
            BareRequest("bare_request", "bare synchronous request", self.proxy, services, raw),
            JavaScript("page", "JavaScript, no proxy", Direct(), services, raw, module="rawHttp"),
            JavaScript("channel", "JavaScript, data channel", Direct(), services, raw, module="rawWebrtc"),
            JavaScript("fetch", "raw fetch, streaming", stream, services, raw, module="rawStream"),
            JavaScript(
                "websockify", "raw WebSocket, websockify", websockify, services, raw, module="rawWebSocket"
            ),
            JavaScript("wisp", "JavaScript, Wisp", wisp, services, raw, module="wispClient"),
            PythonSockets("pyodide", "Pyodide's own sockets", bridge, services, own, modules=[SOCKETS]),
            PythonSockets("host", "Python on this machine", None, services, HostPython(), modules=[POSIX]),
        ]
        self.versions = {
            "Chromium": self.browser.version,
            "Pyodide": ours.evaluate("() => pyodide.version"),
        }
        if find_firefox():
            self._start_firefox(stack, bridge)

    def _start_firefox(self, stack: ExitStack, bridge: BareBridge) -> None:
        firefox = stack.enter_context(DrivenBrowser("Firefox"))
        self.versions["Firefox"] = firefox.version
        blank = f"{self.proxy.url}/healthz"
        raw, ours = open_raw_page(firefox, blank), PagePython(firefox, blank)
        install_ours(ours, self.proxy, wheel_name())
        services = self._services
        peers: list[Peer] = [
            JavaScript(
                "firefox_bridge",
                "Firefox, raw WebSocket",
                bridge,
                services,
                raw,
                module="rawWebSocket",
            ),
            PythonSockets("firefox", "Firefox, ours", self.proxy, services, ours, modules=[SOCKETS]),
        ]
        for peer in peers:
            peer.only = ("receive", "send", "ping")  # it refuses WebSockets after many at once
        self.peers[-1:-1] = peers


def wheel_name() -> str:
    """The wheel that the proxy serves."""
    wheels = sorted((ROOT / "dist").glob("pynet_browser-*.whl"))
    if not wheels:
        raise ServerError("there is no wheel yet; `make wheel` builds it")
    return wheels[-1].name
