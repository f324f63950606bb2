"""The peers that are measured side by side, each in a page of its own."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from bench.processes import BareBridge, Carrier, MeasuredProcess, Proxy, Services
from tests.driven import DrivenBrowser
from tests.host_python import HostPython
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

CALL_MODULE = """async ([module, name, url, options, milliseconds]) => {
    const late = new Promise((_, reject) => {
        setTimeout(() => reject(new Error(`nothing after ${milliseconds} ms`)), milliseconds);
    });
    return Promise.race([globalThis[module][name](url, options), late]);
}"""

CARRY_MEASURES = """
from pathlib import Path
for name, source in modules.items():
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
"""

LIST_MEASURES = """
from importlib import import_module
{
    name: module
    for module in modules
    for name, value in vars(import_module(module)).items()
    if getattr(value, "__module__", None) == module
}
"""

CALL_PYTHON = """
from importlib import import_module
from inspect import isawaitable
result = getattr(import_module(module), name)(tuple(address), **options)
await result if isawaitable(result) else result
"""

MODULES = {
    "rawWebSocket": "raw_websocket.js",
    "rawStream": "raw_stream.js",
    "wispClient": "wisp_client.js",
    "bareRequest": "bare_request.js",
    "rawHttp": "raw_http.js",
    "rawWebrtc": "raw_webrtc.js",
}
"""What JavaScript measures, by the name that the page knows it by."""

SOCKETS = "bench.socket_measures"
POSIX = "bench.posix_measures"
HTTP = "bench.http_measures"
WEBRTC = "bench.webrtc_measures"

Sample = dict[str, float]
"""``seconds``, and what else the function has found."""


class UnsupportedError(Exception):
    """The peer has nothing that could be measured so."""


class Peer:
    """Somebody who can be measured.

    Attributes:
        name: Short, for the results.
        title: For people.
        only: What it is measured by; empty for all that it has.
        process: What carries its connections; None for the system itself.
    """

    def __init__(self, name: str, title: str, process: MeasuredProcess | None, services: Services) -> None:
        self.name = name
        self.title = title
        self.only: Collection[str] = ()
        self.process = process
        self._services = services

    def measure(self, what: str, service: str, options: dict[str, Any]) -> Sample:
        """What the function ``what`` found with one of the services.

        Raises:
            UnsupportedError: This peer has no such function.
        """
        raise NotImplementedError


class JavaScript(Peer):
    """JavaScript with what the browser has, and one of our ``MODULES`` that uses it."""

    process: Carrier

    def __init__(
        self,
        name: str,
        title: str,
        process: Carrier,
        services: Services,
        page: PagePython,
        *,
        module: str,
    ) -> None:
        super().__init__(name, title, process, services)
        self.process = process
        self.page = page
        self._module = module
        self._functions: list[str] = page.evaluate("name => Object.keys(globalThis[name])", module)

    def measure(self, what: str, service: str, options: dict[str, Any]) -> Sample:
        if what not in self._functions:
            raise UnsupportedError
        url = self.process.url(self._services.ports[service])
        asked = [self._module, what, url, options, TIMEOUT * 1000]
        return sample(self.page.evaluate(CALL_MODULE, asked, TIMEOUT))


class BareRequest(Peer):
    """JavaScript with one synchronous request after the other, which our proxy answers by itself."""

    process: Proxy

    def __init__(self, name: str, title: str, process: Proxy, services: Services, page: PagePython) -> None:
        super().__init__(name, title, process, services)
        self.process = process
        self.page = page

    def measure(self, what: str, _service: str, options: dict[str, Any]) -> Sample:
        if what != "ping":
            raise UnsupportedError
        call = "([url, options]) => bareRequest.ping(url, options)"
        return sample(self.page.evaluate(call, [f"{self.process.url}/healthz", options], TIMEOUT))


class PythonSockets(Peer):
    """Python, with what it has for sockets where it runs."""

    def __init__(
        self,
        name: str,
        title: str,
        process: MeasuredProcess | None,
        services: Services,
        python: PagePython | HostPython,
        *,
        modules: list[str],
    ) -> None:
        super().__init__(name, title, process, services)
        self.python = python
        self._modules: dict[str, str] = python.run(LIST_MEASURES, modules=modules)

    def measure(self, what: str, service: str, options: dict[str, Any]) -> Sample:
        if what not in self._modules:
            raise UnsupportedError
        found = self.python.run(
            CALL_PYTHON,
            timeout=TIMEOUT,
            module=self._modules[what],
            name=what,
            address=[self._services.host, self._services.ports[service]],
            options=options,
        )
        return sample(found)


def sample(found: float | Sample) -> Sample:
    """Most functions give seconds alone."""
    return found if isinstance(found, dict) else {"seconds": found}


def load_modules(page: PagePython) -> None:
    """Let JavaScript in a page measure."""
    for name, file in MODULES.items():
        page.evaluate(LOAD_MODULE, [name, (HERE / file).read_text()])


def open_raw_page(browser: DrivenBrowser, url: str) -> PagePython:
    """A page in which JavaScript is measured; Python idles there."""
    page = PagePython(browser, url, own=True)
    load_modules(page)
    return page


def open_own_sockets(browser: DrivenBrowser, url: str, bridge: BareBridge) -> PagePython:
    """Python on Pyodide's own socket code, made for Node and here fed by a WebSocket."""
    python = PagePython(browser, url, own=True)
    carry_measures(python)
    python.evaluate(LOAD_MODULE, ["wintertc", (HERE / "wintertc_websocket.js").read_text()])
    python.evaluate(
        "bridge => pyodide._api.initializeNodeSockFS(wintertc.connectThrough(bridge))",
        f"ws://{bridge.host}:{bridge.port}",
    )
    return python


def open_our_sockets(
    browser: DrivenBrowser, proxy: Proxy, wheel: str, blocking: str = "auto"
) -> tuple[PagePython, dict[str, float]]:
    """Python on our sockets, and how many seconds it took to get them once Pyodide was up.

    Blocking calls wait as ``blocking`` has it: see ``pynet_browser.install``.
    """
    python = PagePython(browser, f"{proxy.url}/healthz", own=True)
    return python, install_ours(python, proxy, wheel, blocking)


def install_ours(python: PagePython, proxy: Proxy, wheel: str, blocking: str = "auto") -> dict[str, float]:
    """Give Python our sockets, and what measures them: ``wheel`` and ``start`` are the seconds it took."""
    carry_measures(python)
    times: dict[str, float] = python.run(
        """
        import micropip
        from time import perf_counter
        begin = perf_counter()
        await micropip.install(wheel)
        wheel_installed = perf_counter()
        import pynet_browser
        await pynet_browser.install(url, token=token, blocking=blocking)
        end = perf_counter()
        {"wheel": wheel_installed - begin, "start": end - wheel_installed}
        """,
        timeout=TIMEOUT,
        wheel=f"{proxy.url}/dist/{wheel}",
        url=proxy.ws_url,
        token=proxy.token,
        blocking=blocking,
    )
    return times


def carry_measures(python: PagePython) -> None:
    """Let Python in a page import what Python here imports."""
    names = [f"{module.replace('.', '/')}.py" for module in ("bench.__init__", SOCKETS, POSIX, HTTP, WEBRTC)]
    python.run(CARRY_MEASURES, modules={name: (HERE.parent / name).read_text() for name in names})
